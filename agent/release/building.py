"""Makes a release for the interpreter that runs this: installed packages without what nobody needs at run time."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from agent import release_start
from agent.release import ReleaseError
from agent.release.tree import SITE, START

PROJECT = "dockmon-agent"

PIP_DEADLINE_S = 900
COMPILE_DEADLINE_S = 300

DROPPED_PACKAGES = ("pygments", "markdown_it", "mdurl", "pip", "setuptools", "wheel", "bin")
"""What rich wants for colouring source text and Markdown, which the agent's views never do; and what installs."""

DROPPED_RECORDS = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")
"""Of a package's own directory: how and from where it came here. Licences and entry points stay."""


def build(directory: Path, wheels: Path | None, project: Path | None) -> None:
    """Fills `directory` with everything but the manifest. Packages that are installed there already are kept.

    Args:
        wheels: Where to take packages from, without asking the index; None: from the index.
        project: The source tree, unless a wheel of it is in `wheels`.

    Raises:
        ReleaseError: It cannot be made.
    """
    site = directory / SITE
    if not (site / "agent").is_dir():
        install(site, wheels, project)
    trim(site)
    shutil.copyfile(release_start.__file__, directory / START)
    compile_all(site)


def install(site: Path, wheels: Path | None, project: Path | None) -> None:
    """Has pip put the project into `site`, with all it depends on."""
    if importlib.util.find_spec("pip") is None:
        raise ReleaseError(
            f"{sys.executable} has no pip: install it (`python3 -m ensurepip`), or install the "
            f"packages into {site} in another way first"
        )
    if site.exists() and any(site.iterdir()):
        raise ReleaseError(f"{site} holds something else: remove it, or name another directory")
    where = [] if wheels is None else ["--no-index", "--find-links", str(wheels)]
    command = (
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-input", "--no-compile", "--no-warn-script-location", "--target", str(site)),
        *(*where, _what(wheels, project)),
    )
    try:
        subprocess.run(command, check=True, timeout=PIP_DEADLINE_S)
    except subprocess.CalledProcessError as error:
        raise ReleaseError("pip could not install the packages: what it says is above") from error
    except subprocess.TimeoutExpired as error:
        raise ReleaseError(
            f"pip did not end in {PIP_DEADLINE_S} s: give it wheels with --from-wheels"
        ) from error


def _what(wheels: Path | None, project: Path | None) -> str:
    if wheels is not None:
        ours = sorted(wheels.glob("dockmon_agent-*.whl"))
        if len(ours) > 1:
            raise ReleaseError(f"{wheels} has {len(ours)} wheels of {PROJECT}: leave one")
        if ours:
            return str(ours[0])
    source = project or Path(__file__).parents[2]
    if not (source / "pyproject.toml").is_file():
        raise ReleaseError(
            f"{source} is no source tree: name it with --project, or put a wheel of {PROJECT} "
            "into --from-wheels"
        )
    return str(source)


def trim(site: Path) -> None:
    """Removes what no release needs, and what would make two builds of the same differ."""
    for name in DROPPED_PACKAGES:
        _remove(site / name)
    for info in sorted(site.glob("*.dist-info")):
        if info.name.partition("-")[0].lower() in _DROPPED_NAMES:
            _remove(info)
            continue
        for name in DROPPED_RECORDS:
            _remove(info / name)
    for cache in sorted(site.rglob("__pycache__")):
        _remove(cache)
    for tests in sorted(site.glob("*/tests")):
        _remove(tests)
    # A manifest lists files, so a directory without any would be one too many. The innermost come first.
    for path in sorted(site.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


_DROPPED_NAMES = {*DROPPED_PACKAGES, "markdown_it_py"}
"""As their metadata has them."""


def compile_all(directory: Path) -> None:
    """Compiles everything in it, never to be compared with its source again: the manifest vouches for both.

    In a process of its own, for what a process has done before shows in what it compiles. Without the columns of each
    instruction: they only underline the place in a traceback's line, and take a megabyte of memory.
    """
    command = (
        *(sys.executable, "-s", "-P", "-X", "no_debug_ranges", "-m", "compileall", "-q", "-f"),
        *("--invalidation-mode", "unchecked-hash", "-s", str(directory), "-p", SITE),
        str(directory),
    )
    try:
        subprocess.run(
            command,
            check=True,
            timeout=COMPILE_DEADLINE_S,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise ReleaseError(f"{directory} cannot be compiled: {error}") from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
