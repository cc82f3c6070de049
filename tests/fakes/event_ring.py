"""dockerd's events in memory: the last 256 of all types, and the streams that are open."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from agent.clock import utcnow
from agent.ports import EventSink, Json

RING = 256


class EventRing:
    """Iterating gives the events it still has, oldest first.

    Attributes:
        muted: Nothing is told: the engine is down.
    """

    def __init__(self) -> None:
        self.muted = False
        self._events: deque[Json] = deque(maxlen=RING)
        self._readers: list[FakeReader] = []
        self._instants_ns: set[int] = set()
        self._free_ns: dict[int, int] = {}  # where to look on from, by the clock's instant

    def __iter__(self) -> Iterator[Json]:
        return iter(self._events)

    def clear(self) -> None:
        self._events.clear()

    def tell(self, type_: str, action: str, actor_id: str, attributes: Mapping[str, str]) -> None:
        """Puts one event into the ring and every open stream."""
        if self.muted:
            return
        time_ns = self._instant_ns()
        event = {
            "Type": type_,
            "Action": action,
            "Actor": {"ID": actor_id, "Attributes": dict(attributes)},
            "scope": "local",
            "time": time_ns // 10**9,
            "timeNano": time_ns,
        }
        self._events.append(event)
        for reader in self._readers:
            reader.feed(event)

    def read(self, filters: Mapping[str, Sequence[str]], sink: EventSink) -> FakeReader:
        """Opens a stream: the whole ring first, then live."""
        reader = FakeReader(filters, sink, self._forget)
        self._readers.append(reader)
        if self.muted:
            reader.end("the engine is down")
        else:
            for event in self._events:
                reader.feed(event)
        return reader

    def end_streams(self, reason: str) -> None:
        for reader in list(self._readers):
            reader.end(reason)

    def close_streams(self) -> None:
        for reader in list(self._readers):
            reader.close()

    def _forget(self, reader: FakeReader) -> None:
        if reader in self._readers:
            self._readers.remove(reader)

    def _instant_ns(self) -> int:
        """Now. dockerd's instants do not repeat, so ours must not, even while time is frozen."""
        at = utcnow()
        now_ns = int(at.timestamp()) * 10**9 + at.microsecond * 1000
        time_ns = self._free_ns.get(now_ns, now_ns)
        while time_ns in self._instants_ns:
            time_ns += 1
        self._instants_ns.add(time_ns)
        self._free_ns[now_ns] = time_ns + 1
        return time_ns


class FakeReader:
    """One open stream, delivering on the loop a moment later, as a thread would."""

    def __init__(
        self,
        filters: Mapping[str, Sequence[str]],
        sink: EventSink,
        forget: Callable[[FakeReader], None],
    ) -> None:
        if unknown := filters.keys() - {"type", "event", "container"}:
            raise NotImplementedError(f"filters this engine does not know: {unknown}")
        self._filters, self._sink, self._forget = filters, sink, forget
        self._open = True

    def feed(self, event: Json) -> None:
        """Delivers `event` if every filter lets it through."""
        actor = event["Actor"]
        told = {
            "type": {event["Type"]},
            # The engine matches what comes before the colon as well: `exec_start: COMMAND`.
            "event": {event["Action"], event["Action"].partition(":")[0]},
            "container": {actor["ID"], actor["Attributes"].get("name")},
        }
        if all(told[key] & set(wanted) for key, wanted in self._filters.items()):
            self._soon(self._sink.event, event)

    def end(self, reason: str) -> None:
        self._soon(self._finish, reason)
        self._forget(self)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._forget(self)

    def _finish(self, reason: str) -> None:
        self._open = False
        self._sink.ended(reason)

    def _soon(self, deliver: Callable[[Any], None], what: object) -> None:
        def now() -> None:
            if self._open:
                deliver(what)

        asyncio.get_running_loop().call_soon(now)
