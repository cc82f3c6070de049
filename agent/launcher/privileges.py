"""Started as root in a container: becomes an ordinary user who may use the Docker socket and owns the data."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from collections.abc import Iterator

USER_ID = 1000
GROUP_ID = 1000

_NEEDED = {"CHOWN": 0, "DAC_OVERRIDE": 1, "SETGID": 6, "SETUID": 7}
"""Capabilities by the number of their bit."""

_SIGNS_OF_A_CONTAINER = ("/.dockerenv", "/run/.containerenv")

_LAUNCHERS_OWN = "update"


class MissingCapabilities(Exception):
    """Root without the means to become somebody else; the text says what to do."""


def is_root_in_container() -> bool:
    """Natively root is what systemd's User= made of it, or what the operator wants."""
    if os.geteuid() != 0:
        return False
    return os.getpid() == 1 or any(os.path.exists(path) for path in _SIGNS_OF_A_CONTAINER)


def missing_capabilities(proc_status: str) -> list[str]:
    """Those that we need and do not have, by what /proc/self/status says."""
    effective = 0
    for line in proc_status.splitlines():
        if line.startswith("CapEff:"):
            effective = int(line.split()[1], 16)
    return [name for name, bit in _NEEDED.items() if not effective >> bit & 1]


def demand_capabilities(engine_socket: str) -> None:
    """What `repair()` and `drop()` need is there.

    Raises:
        MissingCapabilities: It is not.
    """
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        missing = missing_capabilities(file.read())
    if missing:
        raise MissingCapabilities(
            f"started as root without the capabilities {', '.join(missing)}, which are needed to become uid "
            f"{USER_ID}: run the container with --user {USER_ID} --group-add "
            f"{_group_of(engine_socket) or 'GID-OF-THE-DOCKER-SOCKET'}, or with "
            + " ".join(f"--cap-add {name}" for name in missing)
        )


def drop(engine_socket: str) -> None:
    """Becomes uid and gid 1000 for good, a member of the group of the engine's socket."""
    group = _group_of(engine_socket)
    os.setgroups([GROUP_ID] if group is None else [GROUP_ID, group])
    os.setresgid(GROUP_ID, GROUP_ID, GROUP_ID)
    os.setresuid(USER_ID, USER_ID, USER_ID)


def _group_of(engine_socket: str) -> int | None:
    try:
        return os.stat(engine_socket).st_gid if engine_socket else None
    except OSError:
        return None  # the agent stays up and says that the engine cannot be reached


def repair(data: str) -> list[str]:
    """Gives what is root's in the data directory to uid 1000, following no link, nor over to another file system.

    What belongs to a third party, such as the files of a container under the stacks, stays as it is. A directory
    that is ours already is not searched again, except for the launcher's own.

    Returns:
        What could not be repaired, and why.
    """
    try:
        os.makedirs(data, mode=0o700, exist_ok=True)
        os.chown(data, USER_ID, GROUP_ID)
        device = os.stat(data).st_dev
        for name in os.listdir(data):
            path = os.path.join(data, name)
            for found in _of_root(path, device, through_ours=name == _LAUNCHERS_OWN):
                os.chown(found, USER_ID, GROUP_ID, follow_symlinks=False)
    except OSError as error:
        return [
            f"{error.filename or data} cannot be given to uid {USER_ID}: {error.strerror}; "
            f"chown -R {USER_ID}:{GROUP_ID} the volume on the host"
        ]
    return []


def _of_root(path: str, device: int, *, through_ours: bool) -> Iterator[str]:
    """What is root's of the path and all below it, a directory's content before the directory."""
    status = os.lstat(path)
    if status.st_dev != device:
        return
    searched = (0, USER_ID) if through_ours else (0,)
    if stat.S_ISDIR(status.st_mode) and status.st_uid in searched:
        for name in os.listdir(path):
            yield from _of_root(os.path.join(path, name), device, through_ours=through_ours)
    if status.st_uid == 0:
        yield path
