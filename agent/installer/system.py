"""What an installation asks of the host: a user and a service."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from agent.installer import InstallError
from agent.installer.places import ENGINE_GROUP, SERVICE, USER
from agent.installer.unit import START_S, STOP_S

DEADLINE_S = 60.0 + START_S + STOP_S
"""For each command. systemctl comes back when the launcher has said that it is ready, or systemd has given it up."""


class System(Protocol):
    """The host, as far as an installation changes more than files."""

    def demand(self) -> None:
        """Raises `InstallError` where an installation cannot work."""

    def make_user(self, data: Path) -> None:
        """A user of the agent's own who may use the engine, and the data directory that is theirs."""

    def runs(self) -> bool:
        """Whether the service is under way: started, starting, stopping, or about to be started again."""

    def start(self) -> None:
        """Has systemd read the unit, start the service now and with the host."""

    def reload(self) -> None:
        """Has systemd read its units again."""

    def stop(self) -> None:
        """Ends the service, and has it no longer started."""

    def remove_user(self) -> None: ...


class Staged:
    """Only files are written: whoever made a package of them does the rest."""

    def demand(self) -> None: ...

    def make_user(self, data: Path) -> None: ...

    def runs(self) -> bool:
        return False

    def start(self) -> None: ...

    def reload(self) -> None: ...

    def stop(self) -> None: ...

    def remove_user(self) -> None: ...


class LinuxHost:
    """This host."""

    def demand(self) -> None:
        if os.geteuid() != 0:
            raise InstallError("this takes root: run it with sudo")
        if not Path("/run/systemd/system").is_dir() or shutil.which("systemctl") is None:
            raise InstallError(
                "systemd does not run here: use the container image, or lay the files out with "
                "--staged-in DIR and have something else run the launcher"
            )
        try:
            grp.getgrnam(ENGINE_GROUP)
        except KeyError:
            raise InstallError(
                f"there is no group {ENGINE_GROUP}: install Docker first; where the engine's socket "
                f"belongs to another group, make this one with `groupadd --system {ENGINE_GROUP}` "
                "and give it the socket"
            ) from None

    def make_user(self, data: Path) -> None:
        try:
            pwd.getpwnam(USER)
        except KeyError:
            _call(
                *("useradd", "--system", "--user-group", "--no-create-home"),
                *("--home-dir", str(data), "--shell", "/usr/sbin/nologin", USER),
            )
        _call("usermod", "--append", "--groups", ENGINE_GROUP, USER)
        user = pwd.getpwnam(USER)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(data, user.pw_uid, user.pw_gid)

    def runs(self) -> bool:
        state = _call("systemctl", "show", "--property=ActiveState", "--value", SERVICE)
        return state.strip() not in ("inactive", "failed")

    def start(self) -> None:
        self.reload()
        _call("systemctl", "enable", SERVICE)
        _call("systemctl", "restart", SERVICE)

    def reload(self) -> None:
        _call("systemctl", "daemon-reload")

    def stop(self) -> None:
        _call("systemctl", "disable", "--now", SERVICE)

    def remove_user(self) -> None:
        _call("userdel", USER)


def _call(*command: str) -> str:
    """What it says on its standard output."""
    try:
        ended = subprocess.run(
            command,
            check=True,
            timeout=DEADLINE_S,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError as error:
        raise InstallError(
            f"{command[0]} is not on PATH: {' '.join(command)} is to be run"
        ) from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise InstallError(
            f"`{' '.join(command)}` failed: what it says is above; `journalctl -u {SERVICE}` may tell more"
        ) from error
    return ended.stdout
