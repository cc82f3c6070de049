"""Waiting until something has become true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Signal:
    """Fired whenever something changed that somebody may wait for."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def fire(self) -> None:
        self._changed.set()
        self._changed.clear()  # those who wait have been woken by now and look for themselves

    async def until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Returns as soon as `ready` says so, at once if it does already.

        Raises:
            TimeoutError: It did not in time.
        """
        async with asyncio.timeout(timeout_s):
            while not ready():
                await self._changed.wait()
