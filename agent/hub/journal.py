"""Every frame that the server read or wrote, for whoever looks on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A frame that was read or written. `at` is loop time in seconds; `host_id` None: not registered."""

    at: float
    host_id: str | None
    direction: Literal["in", "out"]
    frame: dict[str, Any]


class Journal:
    """Keeps the newest ten thousand."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=ENTRIES)
        self._listeners: list[Callable[[Entry], None]] = []

    def record(
        self, host_id: str | None, direction: Literal["in", "out"], frame: dict[str, Any]
    ) -> None:
        entry = Entry(asyncio.get_running_loop().time(), host_id, direction, frame)
        self.entries.append(entry)
        for callback in tuple(self._listeners):
            callback(entry)

    def listen(self, callback: Callable[[Entry], None]) -> Callable[[], None]:
        """Calls back with every frame from now on. The result ends that."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    async def wait_for(self, predicate: Callable[[Entry], bool], timeout_s: float) -> Entry:
        """The first frame, recorded or yet to come, for which `predicate` is true.

        Raises:
            TimeoutError: None came in time.
        """
        for entry in self.entries:
            if predicate(entry):
                return entry
        found: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()

        def look(entry: Entry) -> None:
            # A predicate that stumbles over a frame fails whoever waits on it, not the connection.
            try:
                if not found.done() and predicate(entry):
                    found.set_result(entry)
            except Exception as error:
                found.set_exception(error)

        forget = self.listen(look)
        try:
            async with asyncio.timeout(timeout_s):
                return await found
        finally:
            forget()
