"""The journal reaches the server in order, at least once, and no faster than it can take it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fakes.link import FakeLink, FakeServer
from fakes.scope import FakeScope
from fakes.store import MemoryStore

from agent.clock import utcnow
from agent.core.journal import Row
from agent.ports import Batch, Priority, StoreError
from agent.runtime.delivery import Delivery
from agent.runtime.session import Session
from agent.runtime.uplink import MAX_BYTES

FULL = StoreError("/data cannot be used: no space left on device; free space")


def now_s() -> float:
    return asyncio.get_running_loop().time()


def rows(first: int, last: int) -> list[Row]:
    return [
        Row(f"key-{number}", {"container_id": "c" * 64, "action": "start", "n": number})
        for number in range(first, last + 1)
    ]


class Post:
    """A delivery, its journal, and the server it goes to."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.server = FakeServer()
        self.session = Session(self.server)
        self.delivery = Delivery(self.session, self.store, clock=utcnow)

    @property
    def link(self) -> FakeLink:
        return self.server.link

    async def journal(self, first: int, last: int) -> None:
        await self.store.journal(Batch(rows(first, last)))
        self.delivery.journalled()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[FakeLink]:
        async with FakeScope() as session_scope, FakeScope() as delivery_scope:
            self.session.acquire(session_scope)
            await self.session.ask(b'{"type":"register"}')
            self.session.go_live()
            self.delivery.acquire(delivery_scope)
            yield self.link
            await self.delivery.release()
            delivery_scope.end()
            await self.session.release()


def numbers(link: FakeLink) -> list[int]:
    return [event["payload"]["n"] for event in link.events]


async def test_in_order() -> None:
    """What waits goes out oldest first, as events without an id, and counts as delivered after the pong."""
    post = Post()
    await post.journal(1, 3)
    async with post.connected() as link:
        await asyncio.sleep(1)
        assert numbers(link) == [1, 2, 3]
        assert link.events[0] == {
            "type": "event",
            "command": "container_event",
            "payload": {"container_id": "c" * 64, "action": "start", "n": 1},
            "timestamp": "2026-01-01T00:00:00.000000Z",
        }
        assert post.store.undelivered == set()
        assert post.delivery.delivered == 3


async def test_what_comes_later() -> None:
    """A row that is journalled while nothing waits goes out at once."""
    post = Post()
    async with post.connected() as link:
        await asyncio.sleep(10)
        await post.journal(1, 1)
        await link.until(lambda: link.pings_s)
        assert numbers(link) == [1]
        assert link.pings_s == [10.0]


async def test_delivered_means_confirmed() -> None:
    """Until the pong is here a row counts as not delivered."""
    post = Post()
    await post.journal(1, 2)
    async with post.connected() as link:
        link.pong_after_s = 3.0
        await asyncio.sleep(2.9)
        assert numbers(link) == [1, 2]
        assert post.store.undelivered == {1, 2}
        await asyncio.sleep(0.2)
        assert post.store.undelivered == set()


async def test_one_ping_for_a_batch() -> None:
    """Fifty rows go in one batch, confirmed by one pong."""
    post = Post()
    await post.journal(1, 50)
    async with post.connected() as link:
        await asyncio.sleep(0.1)
        assert [len(write) for write in link.writes[1:]] == [50]
        assert link.pings_s == [0.0]


async def test_the_pace() -> None:
    """However many wait, and however they come: 50 each half second at most, and 20 batches a second."""
    post = Post()
    await post.journal(1, 120)
    async with post.connected() as link:
        await asyncio.sleep(1.1)
        await post.journal(121, 121)
        await asyncio.sleep(0.1)
        await post.journal(122, 122)
        await asyncio.sleep(1)
        assert numbers(link) == list(range(1, 123))
        assert link.pings_s == [0.0, 0.5, 1.0, 1.2, 1.25]


async def test_a_slow_pong_sets_the_pace() -> None:
    """The next batch waits for the confirmation of the one before."""
    post = Post()
    await post.journal(1, 100)
    async with post.connected() as link:
        link.pong_after_s = 4.0
        await asyncio.sleep(8.5)
        assert link.pings_s == [0.0, 4.0]


async def test_a_cut_between_sending_and_pong() -> None:
    """What is not confirmed goes out again over the next session, from its first row on."""
    post = Post()
    await post.journal(1, 60)
    async with post.connected() as first:
        first.pong_after_s = 0.4
        await asyncio.sleep(0.7)  # the first batch is confirmed, the second is not
        first.cut()
        await asyncio.sleep(1)
    async with post.connected() as second:
        await asyncio.sleep(1)
        assert numbers(first) == list(range(1, 61))
        assert numbers(second) == list(range(51, 61))
        assert post.store.undelivered == set()


async def test_a_cut_while_writing() -> None:
    """Rows in the writer's hands go out again. The delivery used to wait for them for ever."""
    post = Post()
    await post.journal(1, 2)
    async with post.connected() as first:
        first.takes_s = 5.0
        await asyncio.sleep(1)
        first.cut()
        await asyncio.sleep(1)
    async with post.connected() as second:
        await asyncio.sleep(1)
        assert numbers(second) == [1, 2]


async def test_no_rows_are_lost_between_sessions() -> None:
    """What is journalled while there is no session goes out with the next one."""
    post = Post()
    async with post.connected() as first:
        first.cut()
        await asyncio.sleep(1)
        await post.journal(1, 2)
        await asyncio.sleep(1)
    await post.journal(3, 4)
    async with post.connected() as second:
        await asyncio.sleep(1)
        assert numbers(second) == [1, 2, 3, 4]


async def test_a_journal_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again every five seconds, with one line in the log, and then everything goes out."""
    post = Post()
    await post.journal(1, 2)
    post.store.broken = FULL
    async with post.connected() as link:
        await asyncio.sleep(14)
        assert link.events == []
        post.store.broken = None
        await link.until(lambda: link.events)
        assert now_s() == 15.0
        assert numbers(link) == [1, 2]
    assert caplog.messages == [f"reading the journal of events failed: {FULL}"]


async def test_what_cannot_be_marked_is_not_sent_again() -> None:
    """On a disk that is full rows stay unmarked; the server has them, so they go out once, not every five seconds."""
    post = Post()

    class Full(MemoryStore):
        async def delivered(self, seqs: object) -> None:
            if now_s() < 20:
                raise FULL
            self.undelivered.clear()

    post.store = Full()
    post.delivery = Delivery(post.session, post.store, clock=utcnow)
    await post.journal(1, 2)
    async with post.connected() as first:
        await asyncio.sleep(12)
    async with post.connected() as second:
        await asyncio.sleep(15)
        assert numbers(first) == [1, 2]
        assert second.events == []
        assert post.store.undelivered == set()


async def test_a_full_uplink() -> None:
    """Replies may fill the link; events wait, and the session is not given up for it."""
    post = Post()
    largest = b'{"x":"%s"}' % (b"x" * (MAX_BYTES - 8))
    async with post.connected() as link:
        link.takes_s = 5.0
        post.session.put(largest, Priority.REPLY)
        await asyncio.sleep(1)
        post.session.put(largest, Priority.REPLY)
        await post.journal(1, 2)
        await asyncio.sleep(30)
        assert numbers(link) == [1, 2]
        assert post.store.undelivered == set()
