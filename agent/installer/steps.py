"""Installing and uninstalling, step by step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from agent.installer import InstallError, files, settings_file
from agent.installer.places import SERVICE, Places
from agent.installer.system import System
from agent.installer.unit import unit

Say = Callable[[str], None]

_PRIVATE = (Path("/root"), Path("/home"))


def install(
    archive: Path,
    places: Places,
    system: System,
    say: Say,
    *,
    python: Path,
    url: str | None,
    token_file: Path | None,
    start: bool,
) -> None:
    """Installs what is in `archive`, or replaces what is installed; the settings and the data stay.

    Args:
        python: The interpreter that is to run it.
        start: Whether to start it, if its settings are complete.

    Raises:
        InstallError: A step failed. To install again continues from there.
    """
    system.demand()
    if places.staged_in is None and any(python.is_relative_to(private) for private in _PRIVATE):
        raise InstallError(
            f"{python} is in a home directory, where the service cannot reach it: run this file with the "
            "system's Python, /usr/bin/python3"
        )
    settings = places.on_disk(places.settings_file)
    complete = settings_file.will_be_complete(settings, url, token_file)
    if not (start and complete) and system.runs():
        raise InstallError(
            f"{SERVICE} runs, is not to be restarted, and would go on with other files under it: "
            f"`systemctl stop {SERVICE}` first, or install with the settings that it needs and without --no-start"
        )
    verdict = files.put(archive, places.on_disk(places.root))
    say(
        f"{places.root}: release {verdict.version}, build {verdict.build_id[:12]}, signature verified"
    )
    system.make_user(places.data)
    settings_file.write(settings, url, token_file)
    _replace(places.on_disk(places.unit_file), unit(places, python))
    if places.staged_in is not None:
        say(
            f"written to {places.staged_in}: the user, and starting the service, are left to the package"
        )
        return
    if start and complete:
        system.start()
        say(f"started; its log: journalctl -u {SERVICE} -f")
        return
    system.reload()
    if not complete:
        say(f"DOCKMON_URL and REGISTRATION_TOKEN are to be written into {places.settings_file}")
    say(f"not started: systemctl enable --now {SERVICE}")


def uninstall(places: Places, system: System, say: Say, *, purge: bool) -> None:
    """Removes service and installation.

    Args:
        purge: Remove the settings, the data and the user as well. The host is then a new one to the server.
    """
    system.demand()
    root, unit_file = places.on_disk(places.root), places.on_disk(places.unit_file)
    if root.exists() and not files.is_installation(root):
        raise InstallError(f"{root} is no installation of the agent: nothing was removed")
    if unit_file.exists():
        system.stop()
        unit_file.unlink()
        system.reload()
    files.remove(root)
    say(f"{places.root} and the service are removed")
    if not purge:
        say(f"{places.data} and {places.settings_file} are kept; --purge removes them")
        return
    data = places.on_disk(places.data)
    if data.exists():
        shutil.rmtree(data)
    places.on_disk(places.settings_file).unlink(missing_ok=True)
    system.remove_user()
    say(f"{places.data}, {places.settings_file} and the user are removed")


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(0o644)
    os.replace(beside, path)  # noqa: PTH105 - replaces, where Path.rename says so less clearly
