"""Puts an installation in its place: unpacked beside it, checked there, and renamed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from agent.installer import InstallError
from agent.launcher import root_keys
from agent.launcher.machine import this_machine
from agent.launcher.verdict import Verdict
from agent.launcher.verify import verify
from agent.release_archive import ArchiveError, unpack
from agent.release_layout import KEYS, LAUNCHER, RELEASE, compile_launcher


def put(archive: Path, root: Path) -> Verdict:
    """Installs what is in the archive at `root`. An installation that is there is replaced as a whole.

    Returns:
        What was found out about the release.

    Raises:
        InstallError: The release is not for this machine, or not signed by who may; `root` is as it was.
    """
    if root.exists() and not is_installation(root):
        raise InstallError(
            f"{root} holds something else than the agent: name another directory with --root"
        )
    beside, old = (root.with_name(f".{root.name}.{end}") for end in ("new", "old"))
    try:
        _recover(root, old)
        _clear(beside)
        root.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        beside.mkdir(mode=0o755)
        for part in (LAUNCHER, RELEASE, KEYS):
            unpack(archive, part, beside / part)
        verdict = _demand_good(beside, trusted=(root if root.exists() else beside) / KEYS)
        compile_launcher(beside / LAUNCHER)
        os.sync()
        if root.exists():
            root.rename(old)
        beside.rename(root)
        _clear(old)
    except ArchiveError as error:
        raise InstallError(
            f"{archive} cannot be used: {error}; download it again and compare its SHA-256"
        ) from error
    except OSError as error:
        raise InstallError(
            f"{error.filename or root}: {error.strerror}; make room or mend that, and install again"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        _recover(root, old)
    return verdict


def is_installation(root: Path) -> bool:
    """Whether `root` is an installation of the agent, which may be replaced and removed."""
    return (root / LAUNCHER / "__main__.py").is_file() and (root / RELEASE).is_dir()


def _demand_good(installation: Path, trusted: Path) -> Verdict:
    """The keys that are here already decide, for whoever brings a release may bring keys as well."""
    keys, _ = root_keys.load(str(trusted))
    if not keys:
        keys, _ = root_keys.load(str(installation / KEYS))
    verdict = verify(str(installation / RELEASE), this_machine(), root_keys=keys)
    if verdict.why:
        raise InstallError(
            f"this release cannot be installed here: {verdict.why}. Take the file that is made for this "
            "machine's architecture and Python from where the agent is published; if its keys have been "
            "changed there, uninstall first"
        )
    return verdict


def _recover(root: Path, old: Path) -> None:
    """An installation that ended between its two renames has left the old one aside."""
    if old.is_dir() and not root.exists():
        old.rename(root)


def _clear(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
