"""What waits to be sent goes out most urgent first, in batches, within bounds, and never without a word."""

from __future__ import annotations

import asyncio

import pytest
from fakes.link import FakeLink
from fakes.scope import FakeScope

from agent.ports import ChannelFull, LinkClosed, LinkStalled, Priority
from agent.runtime import uplink
from agent.runtime.uplink import BATCH_BYTES, MAX_BYTES, Uplink

CUT = LinkClosed(1006, "")


def message(letter: str, size: int = 1) -> bytes:
    return letter.encode() * size


async def pumping(queue: Uplink, link: FakeLink) -> None:
    """Pumps until everything is written."""
    async with FakeScope() as scope:
        scope.spawn(queue.pump(link), "writer")
        await asyncio.sleep(1)


async def test_the_urgent_first() -> None:
    """Replies before terminals before events before samples; each of them in the order they came."""
    queue, link = Uplink(), FakeLink()
    for letter, priority in zip("sSeErRtT", (3, 3, 2, 2, 0, 0, 1, 1), strict=True):
        queue.put(message(letter), Priority(priority))
    await pumping(queue, link)
    assert b"".join(link.writes[0]) == b"rRtTeEsS"


async def test_many_messages_one_write() -> None:
    """What is queued when the writer comes goes out in one call."""
    queue, link = Uplink(), FakeLink()
    written = [queue.put(message("e", 100), Priority.EVENT) for _ in range(150)]
    await pumping(queue, link)
    assert [len(write) for write in link.writes] == [150]
    assert [future.result() for future in written] == list(range(1, 151))
    assert (queue.messages_sent, queue.bytes_sent) == (150, 15_000)


async def test_a_tick_of_samples_and_a_reply() -> None:
    """All of it is one write, and the reply goes first, though it came last."""
    queue, link = Uplink(), FakeLink()
    samples = [message("s", 400) for _ in range(150)]
    written = queue.put_all(samples, Priority.SAMPLE)
    queue.put(message("r"), Priority.REPLY)
    await pumping(queue, link)
    assert link.writes == [[message("r"), *samples]]
    assert written.result() == 151


async def test_a_tick_of_samples_behind_a_long_reply() -> None:
    """What belongs together is not torn apart for the room that is left."""
    queue, link = Uplink(), FakeLink()
    queue.put_all([message("s", 400) for _ in range(150)], Priority.SAMPLE)
    queue.put(message("r", BATCH_BYTES // 2), Priority.REPLY)
    await pumping(queue, link)
    assert [len(write) for write in link.writes] == [1, 150]


async def test_a_batch_is_bounded() -> None:
    """A batch ends where the next message would make it larger than 64 KiB."""
    queue, link = Uplink(), FakeLink()
    third = BATCH_BYTES // 3
    for _ in range(4):
        queue.put(message("e", third), Priority.EVENT)
    await pumping(queue, link)
    assert [len(write) for write in link.writes] == [3, 1]


async def test_a_large_message_goes_alone() -> None:
    """One that is larger than a batch travels by itself, so that nothing urgent is bound to it."""
    queue, link = Uplink(), FakeLink()
    for letter, size in (("a", 10), ("B", BATCH_BYTES + 1), ("c", 10)):
        queue.put(message(letter, size), Priority.REPLY)
    await pumping(queue, link)
    assert [write[0][:1] for write in link.writes] == [b"a", b"B", b"c"]


async def test_nothing_passes_what_is_more_urgent() -> None:
    """A small event does not fill the rest of a batch while a larger reply waits behind it."""
    queue, link = Uplink(), FakeLink()
    queue.put(message("a", 10), Priority.REPLY)
    queue.put(message("B", BATCH_BYTES), Priority.REPLY)
    queue.put(message("e"), Priority.EVENT)
    await pumping(queue, link)
    assert [write[0][:1] for write in link.writes] == [b"a", b"B", b"e"]


async def test_what_comes_while_writing_goes_next() -> None:
    """The writer is woken by each message, whenever it comes."""
    queue, link = Uplink(), FakeLink()
    link.takes_s = 1.0
    async with FakeScope() as scope:
        scope.spawn(queue.pump(link), "writer")
        queue.put(message("e"), Priority.EVENT)
        await asyncio.sleep(0.5)
        late = queue.put(message("r"), Priority.REPLY)
        await asyncio.sleep(1.6)
        assert late.result() == 2
        again = queue.put(message("s"), Priority.SAMPLE)
        assert await again == 3


async def test_bounded_bytes() -> None:
    """Beyond 64 MiB of what waits a message is refused at once; the largest alone is always taken."""
    queue = Uplink()
    whole = message("x", MAX_BYTES)
    queue.put(whole + b"y", Priority.SAMPLE)
    with pytest.raises(ChannelFull, match="67108865 bytes are waiting"):
        queue.put(b"z", Priority.REPLY)


async def test_room_again() -> None:
    """What has gone out counts no more."""
    queue, link = Uplink(), FakeLink()
    queue.put(message("x", MAX_BYTES), Priority.SAMPLE)
    await pumping(queue, link)
    assert not queue.put(b"z", Priority.REPLY).done()


async def test_a_close_fails_what_waits() -> None:
    """Whoever waits for a message to be written learns that the link has gone."""
    queue = Uplink()
    waiting = [queue.put(b"x", priority) for priority in Priority]
    queue.close(CUT)
    assert all(future.exception() is CUT for future in waiting)


async def test_a_close_fails_what_is_being_written() -> None:
    """A message in the writer's hands when the link goes may not have arrived. Its sender used to wait for ever."""
    queue, link = Uplink(), FakeLink()
    link.takes_s = 5.0
    async with FakeScope() as scope:
        scope.spawn(_ends_closed(queue, link), "writer")
        written = queue.put(b"x", Priority.REPLY)
        await asyncio.sleep(1)
        link.cut()
        with pytest.raises(LinkClosed):
            async with asyncio.timeout(60):
                await written
    assert queue.messages_sent == 0


async def test_a_close_from_outside_fails_what_is_being_written() -> None:
    """The same if it is the reader that notices, while the writer is still at it."""
    queue, link = Uplink(), FakeLink()
    link.takes_s = 5.0
    async with FakeScope() as scope:
        scope.spawn(queue.pump(link), "writer")
        written = queue.put(b"x", Priority.REPLY)
        await asyncio.sleep(1)
        queue.close(CUT)
        assert written.exception() is CUT


async def test_a_message_after_the_close_fails_at_once() -> None:
    """It is not queued for nobody."""
    queue = Uplink()
    queue.close(CUT)
    with pytest.raises(LinkClosed):
        await queue.put(b"x", Priority.REPLY)


async def test_a_peer_that_takes_nothing() -> None:
    """After ten seconds the writer says so, and every sender is told."""
    queue, link = Uplink(), FakeLink()
    link.is_stalled = True
    waiting = [queue.put(b"x", Priority.REPLY), queue.put(b"y" * BATCH_BYTES, Priority.REPLY)]
    with pytest.raises(LinkStalled):
        await queue.pump(link)
    assert asyncio.get_running_loop().time() == uplink.PROGRESS_S
    assert [type(future.exception()) for future in waiting] == [LinkStalled, LinkStalled]


async def test_a_sender_that_gave_up() -> None:
    """Its message goes out all the same, and the writer does not mind."""
    queue, link = Uplink(), FakeLink()
    queue.put(b"x", Priority.REPLY).cancel()
    written = queue.put(b"y", Priority.REPLY)
    await pumping(queue, link)
    assert link.writes == [[b"x", b"y"]]
    assert written.result() == 2


async def _ends_closed(queue: Uplink, link: FakeLink) -> None:
    with pytest.raises(LinkClosed):
        await queue.pump(link)
