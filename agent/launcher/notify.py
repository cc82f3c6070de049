"""Tells systemd how we are, where it asked to be told."""

from __future__ import annotations

import os
import socket

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from collections.abc import Mapping


class Notifier:
    """Speaks to NOTIFY_SOCKET; says nothing where there is none.

    Attributes:
        every_s: Seconds between two signs of life, half of what WATCHDOG_USEC allows; None: nobody waits for them.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.every_s = _half(environ) if address else None

    def ready(self) -> None:
        self._tell("READY=1")

    def alive(self) -> None:
        if self.every_s is not None:
            self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        self._tell(f"STATUS={text}")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def _tell(self, line: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                sender.sendto(line.replace("\n", " ").encode(), self._address)
        except OSError:
            pass  # it will miss the sign of life, which says the same


def _half(environ: Mapping[str, str]) -> float | None:
    microseconds, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or (pid and pid != str(os.getpid())):
        return None
    return int(microseconds) / 2e6 or None
