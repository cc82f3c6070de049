"""An asyncio event loop that lives on freezegun's clock and jumps instead of sleeping.

`loop.time()` is derived from the frozen wall clock, and the selector moves that clock forward when nothing is
runnable: a day passes in a second, every timer fires at its exact instant, and the two clocks cannot disagree.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import math
import os
import selectors
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from datetime import timedelta
from typing import Any

from freezegun import freeze_time

MICROSECOND = timedelta(microseconds=1)
SIOCOUTQNSD = 0x894B  # bytes not sent yet: tcp(7); what was sent, loopback has delivered by then
GRACE_S = 0.005  # real seconds for what is between two sockets, before time may jump
CONNECT_S = (
    1.0  # real seconds for loopback to take or refuse a connection, however busy the machine is
)
SYN_SENT = b"\x02"  # the first byte of tcp_info: linux/tcp.h, net/tcp_states.h
ROUNDS_A_MICROSECOND = (
    1000  # nothing takes no time at all, or who waits for a picosecond would wait for ever
)
DEADLOCK_AFTER_S = 1.0  # real seconds with nothing scheduled before a scenario counts as stuck


class Deadlock(RuntimeError):
    """Nothing is runnable, scheduled or readable: somebody forgot to wake somebody."""


class _JumpingSelector(selectors.DefaultSelector):
    loop: FrozenLoop
    rounds = 0  # since time moved last

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.rounds += 1
        if self.rounds >= ROUNDS_A_MICROSECOND:
            self._tick(1)
        if (events := super().select(0)) or timeout == 0:
            return events
        while self.loop.holds:  # a real thread or process is at work
            if events := super().select(0.05):
                return events
        if self._is_connecting() and (events := super().select(CONNECT_S)):
            return events
        if self._in_flight() and (events := super().select(GRACE_S)):
            return events
        if timeout is None:
            if events := super().select(DEADLOCK_AFTER_S):
                return events
            raise Deadlock("nothing is runnable, scheduled or readable")
        # Up to whole microseconds: rounded down, the loop would ask again for the rest for ever.
        self._tick(max(1, math.ceil(timeout * 1e6 - 1e-3)))
        return []

    def _is_connecting(self) -> bool:
        """Whether a connection is neither made nor refused: that takes no time, but the kernel's turn."""
        for key in self.get_map().values():
            if key.events & selectors.EVENT_WRITE:
                with contextlib.suppress(OSError), socket.socket(fileno=os.dup(key.fd)) as asked:
                    if asked.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == SYN_SENT:
                        return True
        return False

    def _in_flight(self) -> bool:
        """Whether the kernel holds something it could not send yet: a large message, on its way in several turns."""
        for key in self.get_map().values():
            unsent = bytearray(4)
            with contextlib.suppress(OSError):  # the loop's own wake-up pipe, a listening socket
                fcntl.ioctl(key.fd, SIOCOUTQNSD, unsent)
            if any(unsent):
                return True
        return False

    def _tick(self, microseconds: int) -> None:
        self.rounds = 0
        self.loop.clock.tick(microseconds * MICROSECOND)


class FrozenLoop(asyncio.SelectorEventLoop):
    def __init__(self, at: str = "2026-01-01T00:00:00Z") -> None:
        self._freezer, self.holds = freeze_time(at), 0
        self.clock: Any = self._freezer.start()  # freezegun's factory; it has no public type
        self._epoch = self.clock()
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = 1e-6  # freezegun keeps whole microseconds

    def time(self) -> float:
        return float((self.clock() - self._epoch) / MICROSECOND) / 1e6

    def step_wall_clock(self, delta: timedelta) -> None:
        """Moves wall time and no timer, as an NTP step does."""
        self.clock.tick(delta)
        self._epoch += delta

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Stops time while a real thread or process works."""
        self.holds += 1
        try:
            yield
        finally:
            self.holds -= 1

    def run_in_executor(  # type: ignore[override]  # typeshed's is generic in the arguments
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        stack = contextlib.ExitStack()
        stack.enter_context(self.hold())
        future: asyncio.Future[Any] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(lambda _: stack.close())
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        with self.hold():  # newer Pythons bound the wait for its threads by a time that would jump
            await super().shutdown_default_executor()

    def close(self) -> None:
        if not self.is_closed():
            super().close()
            self._freezer.stop()
