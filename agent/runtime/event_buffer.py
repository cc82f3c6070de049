"""Engine events between the thread that reads them and the task that journals them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from agent.core.engine_watch import StreamEnded, StreamOverran
from agent.core.journal import FILTERS, concerns
from agent.ports import Engine, EventReader, Json, Scope

BUFFER = 10_000
"""A stalled reader makes the engine wait 100 ms per event, on the whole host. So we drop, and compare afterwards."""


class EventBuffer:
    """The engine chart's resource `event_reader`, and the sink that its thread delivers to."""

    def __init__(self, engine: Engine, *, notice: Callable[[Json], None]) -> None:
        self._engine, self._notice = engine, notice
        self._scope: Scope
        self._reader: EventReader | None = None
        self._events: deque[Json] = deque()
        self._filled = asyncio.Event()

    def acquire(self, scope: Scope) -> None:
        self._scope = scope
        self._forget()
        self._reader = self._engine.read_events(FILTERS, self)

    async def release(self) -> None:
        self.abort()

    def abort(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # The sink

    def event(self, event: Json) -> None:
        if not concerns(event):
            pass
        elif len(self._events) >= BUFFER:
            dropped = len(self._events) + 1
            self._forget()
            self._scope.post(StreamOverran(dropped))
        else:
            self._events.append(event)
            self._filled.set()
        self._notice(event)  # last, for what fails there must not cost the journal an event

    def ended(self, reason: str) -> None:
        self._scope.post(StreamEnded(reason))

    # The taker

    async def some(self, *, within_s: float) -> list[Json]:
        """Everything buffered, in order of arrival; waits for the first at most `within_s`, then returns nothing."""
        try:
            async with asyncio.timeout(within_s):
                await self._filled.wait()
        except TimeoutError:
            return []
        events = list(self._events)
        self._forget()
        return events

    def _forget(self) -> None:
        self._events.clear()
        self._filled.clear()
