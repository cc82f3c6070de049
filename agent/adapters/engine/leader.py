"""A process in a container that can be ended from outside.

Dropping its streams leaves it running, and the engine tells its ID as the host sees it, not as the container does. So
it says that itself, on the first line, before it becomes what it is to be. On a TTY it leads a process group, and a
session: when it goes, the kernel hangs up on what runs in front of it too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.adapters.engine.errors import brief
from agent.ports import EngineRefused

_FIRST_LINE_MAX_BYTES = 4096
_NO_SHELL = re.compile(r"/bin/sh.*(no such file or directory|executable file not found)")


def leading(command: Sequence[str]) -> list[str]:
    """`command`, telling its process ID first."""
    return ["/bin/sh", "-c", 'echo $$; exec "$0" "$@"', *command]


def signalling(pid: int, signal: str) -> list[str]:
    """What sends a signal (`HUP`) to the process and its group. The shell's own `kill` will do."""
    return ["/bin/sh", "-c", f"kill -{signal} -{pid}"]


class FirstLine:
    """What such a process writes, until it has said its ID. If it could not be started, the engine says so there."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.pid: int | None = None

    def feed(self, data: bytes) -> bytes:
        """Takes output; returns what is behind the first line, once it was there.

        Raises:
            EngineRefused: This is not the line.
        """
        self._data += data
        line, end, rest = bytes(self._data).partition(b"\n")
        if not end and len(line) < _FIRST_LINE_MAX_BYTES:
            return b""
        if not line.strip().isdigit():
            raise _refused(line)
        self.pid = int(line)
        return rest

    def ended(self) -> EngineRefused:
        """What it means that no more comes."""
        return _refused(bytes(self._data))


def explained(refusal: EngineRefused) -> EngineRefused:
    """`refusal`, or what to make of it: engines differ in where they say that there is no shell."""
    if not _NO_SHELL.search(str(refusal)):
        return refusal
    return EngineRefused("The container has no /bin/sh: there is no shell to open", refusal.status)


def _refused(said: bytes) -> EngineRefused:
    text = brief(said.decode("utf-8", "replace"))
    return explained(EngineRefused(text or "The process ended as soon as it was started", 400))
