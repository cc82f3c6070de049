"""A release as a directory: what is in it, and its manifest."""

from __future__ import annotations

import ast
import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path

from agent.core import release_manifest
from agent.core.release_manifest import File, Target
from agent.launcher.machine import this_machine
from agent.release import ReleaseError

SITE = "site-packages"
START = "start.py"


def write_manifest(directory: Path) -> bytes:
    """Describes the tree as it is, for this machine's platform and Python; a signature over another one goes.

    Returns:
        The manifest.

    Raises:
        ReleaseError: The tree is no release.
    """
    version = version_of(directory)
    document = release_manifest.manifest(version, _target(directory), files_of(directory))
    (directory / release_manifest.MANIFEST).write_bytes(document)
    (directory / release_manifest.SIGNATURE).unlink(missing_ok=True)
    return document


def files_of(directory: Path) -> Iterator[File]:
    """Every file in it, in the order of their paths.

    Raises:
        ReleaseError: There is something else than regular files, or no start.py.
    """
    if not (directory / START).is_file():
        raise ReleaseError(f"{directory} has no {START}: make it with `release build {directory}`")
    for path in sorted(directory.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            continue
        if not stat.S_ISREG(mode):
            raise ReleaseError(f"{path} is not a regular file: a release has no links or devices")
        content = path.read_bytes()
        relative = path.relative_to(directory).as_posix()
        yield File(relative, hashlib.sha256(content).hexdigest(), len(content))


def version_of(directory: Path) -> str:
    """What `agent/__init__.py` in it says, which is not run for that."""
    path = directory / SITE / "agent" / "__init__.py"
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (OSError, SyntaxError, ValueError) as error:
        raise ReleaseError(f"{path} cannot be read: {error}") from error
    for node in tree.body:
        match node:
            case ast.Assign([ast.Name("__version__")], ast.Constant(str(version))):
                return version
    raise ReleaseError(f"{path} does not say __version__ = …")


def _target(directory: Path) -> Target:
    here = this_machine()
    if "musl" in here.python:
        libc = "musl"
    else:
        libc = release_manifest.glibc_floor(
            path.read_bytes() for path in directory.rglob("*.so*") if path.is_file()
        )
    return Target(here.platform, here.python, libc)
