"""Between the thread that reads engine events and the task that journals them: in order, bounded, never stale."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from fakes.scope import FakeScope

from agent.core.engine_watch import StreamEnded, StreamOverran
from agent.core.journal import FILTERS
from agent.ports import Engine, EventSink, Json
from agent.runtime.event_buffer import BUFFER, EventBuffer


def now_s() -> float:
    return asyncio.get_running_loop().time()


class Reader:
    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class Stream:
    """The one call of an engine that the buffer makes; the readers it handed out."""

    def __init__(self) -> None:
        self.readers: list[Reader] = []
        self.filters: Mapping[str, Sequence[str]] = {}

    def read_events(self, filters: Mapping[str, Sequence[str]], sink: EventSink) -> Reader:
        self.filters = filters
        self.readers.append(Reader())
        return self.readers[-1]


class Taker:
    def __init__(self) -> None:
        self.stream = Stream()
        self.noticed: list[Json] = []
        engine: Any = self.stream  # the other calls of the port are none of the buffer's
        self.engine: Engine = engine
        self.buffer = EventBuffer(self.engine, notice=self.noticed.append)


def event(number: int) -> Json:
    return {"n": number}


async def test_a_reader_for_as_long_as_it_is_held() -> None:
    """Acquiring opens a stream with what is to be read of it, releasing closes it."""
    taker, scope = Taker(), FakeScope()
    taker.buffer.acquire(scope)
    assert taker.stream.filters == FILTERS
    await taker.buffer.release()
    assert taker.stream.readers[0].is_closed
    taker.buffer.abort()
    assert len(taker.stream.readers) == 1


async def test_taking() -> None:
    """`some` returns everything there is, in order, at once; each event once."""
    taker = Taker()
    taker.buffer.acquire(FakeScope())
    for number in range(3):
        taker.buffer.event(event(number))
    assert await taker.buffer.some(within_s=10) == [event(0), event(1), event(2)]
    assert now_s() == 0.0
    assert taker.noticed == [event(0), event(1), event(2)]


async def test_what_no_journal_wants() -> None:
    """It is noticed and takes no room: a server may restart a thousand containers, and each is killed first."""
    taker = Taker()
    taker.buffer.acquire(FakeScope())
    actions = ["kill", "stop", "pause", "create", "health_status: healthy", "connect"]
    for action in actions:
        taker.buffer.event({"Type": "container", "Action": action})
    assert await taker.buffer.some(within_s=0) == []
    assert [noticed["Action"] for noticed in taker.noticed] == actions


async def test_waiting() -> None:
    """It waits for the first, and no longer than it may."""
    taker = Taker()
    taker.buffer.acquire(FakeScope())
    asyncio.get_running_loop().call_later(3, taker.buffer.event, event(1))
    assert await taker.buffer.some(within_s=10) == [event(1)]
    assert now_s() == 3.0
    assert await taker.buffer.some(within_s=10) == []
    assert now_s() == 13.0
    assert await taker.buffer.some(within_s=0) == []
    assert now_s() == 13.0


async def test_looking_without_waiting() -> None:
    """With no time to wait it still returns what is there."""
    taker = Taker()
    taker.buffer.acquire(FakeScope())
    taker.buffer.event(event(1))
    assert await taker.buffer.some(within_s=0) == [event(1)]


async def test_nothing_of_the_stream_before() -> None:
    """A new reader begins with the ring, so what the one before left is forgotten, its wake-up too."""
    taker = Taker()
    taker.buffer.acquire(FakeScope())
    taker.buffer.event(event(1))
    await taker.buffer.release()
    taker.buffer.acquire(FakeScope())
    assert await taker.buffer.some(within_s=1) == []
    assert now_s() == 1.0  # it used to return at once, and the ring was taken for empty


async def test_an_overrun() -> None:
    """A full buffer is dropped and the chart told how much; what comes after is taken again."""
    taker, scope = Taker(), FakeScope()
    taker.buffer.acquire(scope)
    for number in range(BUFFER + 1):
        taker.buffer.event(event(number))
    assert scope.events == [StreamOverran(BUFFER + 1)]
    assert await taker.buffer.some(within_s=0) == []
    taker.buffer.event(event(7))
    assert await taker.buffer.some(within_s=0) == [event(7)]
    assert len(taker.noticed) == BUFFER + 2


async def test_the_end_of_the_stream() -> None:
    """The chart is told why; what had come before can still be taken."""
    taker, scope = Taker(), FakeScope()
    taker.buffer.acquire(scope)
    taker.buffer.event(event(1))
    taker.buffer.ended("the engine closed it")
    assert scope.events == [StreamEnded("the engine closed it")]
    assert await taker.buffer.some(within_s=0) == [event(1)]


async def test_a_listener_that_fails() -> None:
    """Who wants to know of events beside the journal cannot cost it one."""
    taker = Taker()

    def fail(_: Json) -> None:
        raise KeyError("Actor")

    buffer = EventBuffer(taker.engine, notice=fail)
    buffer.acquire(FakeScope())
    with pytest.raises(KeyError):  # the reader logs it and goes on
        buffer.event(event(1))
    assert await buffer.some(within_s=0) == [event(1)]
