"""A release as a process: started with a socket to us, in a process group of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys

from agent.launcher.small_json import canonical, read

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FD_VARIABLE = "DOCKMON_AGENT_LAUNCHER_FD"
LAUNCH_VARIABLE = "DOCKMON_AGENT_LAUNCH"
ONE_ARENA = ("MALLOC_ARENA_MAX", "1")
"""The C library's memory for all threads together: hardly ever do two of them run at once, and each would keep some."""

NOT_PASSED_ON = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
MAX_LINE_BYTES = 16 * 1024


def command_line(release: str, words: Sequence[str] = ()) -> list[str]:
    """How the release in that directory is run: isolated, without `site`, writing no bytecode."""
    return [sys.executable, "-I", "-S", "-B", os.path.join(release, "start.py"), *words]


class Child:
    """The release in that directory, running.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, release: str, environ: Mapping[str, str], launch: object) -> None:
        ours, theirs = socket.socketpair()
        passed = {name: value for name, value in environ.items() if name not in NOT_PASSED_ON}
        passed.setdefault(*ONE_ARENA)
        passed[FD_VARIABLE] = str(theirs.fileno())
        passed[LAUNCH_VARIABLE] = canonical(launch).decode().strip()
        theirs.set_inheritable(True)
        words = command_line(release)
        try:
            self.pid = os.posix_spawn(
                words[0], words, passed, setpgroup=0, setsigmask=(), setsigdef=(signal.SIGPIPE,)
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        self._socket, self._rest = ours, b""
        self.is_open = True

    def fileno(self) -> int:
        return self._socket.fileno()

    def messages(self) -> list[dict[str, object]]:
        """What it has said by now. Lines that are no message are passed over; one that is too long ends the talk."""
        found = []
        while self.is_open:
            try:
                data = self._socket.recv(MAX_LINE_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            *lines, self._rest = (self._rest + data).split(b"\n")
            found += [message for line in lines if (message := _message(line)) is not None]
            if not data or len(self._rest) > MAX_LINE_BYTES:
                self.is_open = False
        return found

    def say(self, message: object) -> None:
        """Sends it. One that does not read loses what it was told, and its answer with it."""
        try:
            self._socket.send(canonical(message))
        except OSError:
            self.is_open = False

    def signal_group(self, number: int) -> None:
        """Nothing happens if nothing is left of the group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def close(self) -> None:
        self._socket.close()


def _message(line: bytes) -> dict[str, object] | None:
    try:
        found = read(line)
    except ValueError:
        return None
    return dict(found) if isinstance(found, dict) else None
