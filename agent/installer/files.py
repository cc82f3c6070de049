"""Puts an installation in its place: unpacked beside it, checked there, and linked to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from agent.faults import fault
from agent.installer import InstallError
from agent.launcher import root_keys
from agent.launcher.machine import this_machine
from agent.launcher.sync import sync_directory
from agent.launcher.verdict import Verdict
from agent.launcher.verify import verify
from agent.release_archive import ArchiveError, unpack
from agent.release_layout import KEYS, LAUNCHER, RELEASE, compile_launcher


def put(archive: Path, root: Path) -> Verdict:
    """Installs what is in the archive at `root`. An installation that is there is replaced as a whole.

    `root` is a link to one of two places beside it: what is new is made in the other, and the link replaced. That is
    one step on any file system, so that whenever this is cut off a complete installation is at `root`, old or new.

    Returns:
        What was found out about the release.

    Raises:
        InstallError: The release is not for this machine, or not signed by who may; `root` is as it was.
    """
    if root.exists() and not is_installation(root):
        raise InstallError(
            f"{root} holds something else than the agent: name another directory with --root"
        )
    try:
        _recover(root)
        root.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _, free = _places(root)
        try:
            verdict = _make(archive, free, trusted=(root if root.exists() else free) / KEYS)
            _lead(root, free)
        finally:
            _recover(root)
            _tidy(root)
    except ArchiveError as error:
        raise InstallError(
            f"{archive} cannot be used: {error}; download it again and compare its SHA-256"
        ) from error
    except OSError as error:
        raise InstallError(
            f"{error.filename or root}: {error.strerror}; make room or mend that, and install again"
        ) from error
    return verdict


def remove(root: Path) -> None:
    """Removes the installation, and what one that was cut off has left beside it."""
    if root.is_symlink():
        root.unlink()
    _link(root).unlink(missing_ok=True)
    for path in (root, *_places(root), _aside(root)):
        _clear(path)


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


def _make(archive: Path, place: Path, trusted: Path) -> Verdict:
    """A complete installation at `place`, on the disk."""
    _clear(place)
    fault("install.begun")
    place.mkdir(mode=0o755)
    for part in (LAUNCHER, RELEASE, KEYS):
        unpack(archive, part, place / part)
        fault("install.unpacked")
    verdict = _demand_good(place, trusted)
    compile_launcher(place / LAUNCHER)
    os.sync()
    fault("install.synced")
    return verdict


def _lead(root: Path, place: Path) -> None:
    """`root` leads to `place` from now on, and after a power cut as well."""
    link = _link(root)
    link.unlink(missing_ok=True)
    link.symlink_to(place.name)  # relative: it may be staged below another directory
    fault("install.linked")
    if root.is_dir() and not root.is_symlink():
        # Not by us, but a copy of what we made: no link takes the place of a directory in one step.
        _clear(_aside(root))
        root.rename(_aside(root))
    link.replace(root)
    fault("install.replaced")
    sync_directory(root.parent)
    fault("install.made_durable")


def _places(root: Path) -> tuple[Path, Path]:
    """Where the installation is, and where the next one is made."""
    first, second = (root.with_name(f".{root.name}.{number}") for number in (1, 2))
    is_first = root.is_symlink() and root.readlink() == Path(first.name)
    return (first, second) if is_first else (second, first)


def _link(root: Path) -> Path:
    return root.with_name(f".{root.name}.link")


def _aside(root: Path) -> Path:
    return root.with_name(f".{root.name}.old")


def _recover(root: Path) -> None:
    """One that was cut off while a directory was set aside for a link has left neither."""
    if _aside(root).is_dir() and not root.exists():
        _aside(root).rename(root)


def _tidy(root: Path) -> None:
    """Whether it went well or not: nothing but the installation stays. What cannot be removed now is the next time."""
    _, unused = _places(root)
    for path in (unused, _aside(root)):
        shutil.rmtree(path, ignore_errors=True)
    _link(root).unlink(missing_ok=True)
    fault("install.cleared")


def _clear(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
