"""From the thread that reads a pull to the loop that wants to know, in batches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable

from agent.ports import Json

BATCH_S = 0.1
"""Ten looks a second are more than anybody sees, and cost little beside a pull that tells of each block."""

PENDING_MAX = 1_000
"""Steps that wait for the loop; an image has up to 127 layers, each in one or two states meanwhile."""


class ProgressFeed:
    """Steps of a pull: `feed` is for the thread, all else for the loop's.

    Of those that wait, one with the same `id` and `status` takes the place of the older one; beyond
    `PENDING_MAX` the oldest is dropped.
    """

    def __init__(self, sink: Callable[[Json], None]) -> None:
        self._sink, self._loop = sink, asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._pending: dict[Hashable, Json] = {}
        self._closed = False

    def feed(self, step: Json) -> None:
        key = str(step.get("id")), str(step.get("status"))
        with self._lock:
            if self._closed:
                return
            is_first = not self._pending
            self._pending.pop(key, None)  # newest last, for the order of states tells
            self._pending[key] = step
            if len(self._pending) > PENDING_MAX:
                del self._pending[next(iter(self._pending))]
            # Under the lock: the loop may close only after close(), which takes it.
            if is_first:
                self._loop.call_soon_threadsafe(self._loop.call_later, BATCH_S, self.flush)

    def flush(self) -> None:
        """Delivers what waits."""
        with self._lock:
            steps, self._pending = list(self._pending.values()), {}
        for step in steps:
            self._sink(step)

    def close(self) -> None:
        """Nothing is delivered any more."""
        with self._lock:
            self._closed = True
            self._pending = {}
