"""Progress for whoever watches: sent if it costs nobody anything, forgotten otherwise."""

from __future__ import annotations

import asyncio

from fakes.channel import FakeChannel

from agent.clock import utcnow
from agent.features.telling import Teller
from agent.ports import Priority


async def test_an_event_is_sent_behind_replies() -> None:
    """As the server knows events, with the instant of telling; replies and terminals go first."""
    channel = FakeChannel()
    Teller(channel, utcnow).tell("update_progress", {"stage": "pulling"})
    assert channel.sent == [
        (
            Priority.EVENT,
            {
                "type": "event",
                "command": "update_progress",
                "payload": {"stage": "pulling"},
                "timestamp": "2026-01-01T00:00:00.000000Z",
            },
        )
    ]


async def test_a_failure_for_the_event_log() -> None:
    """The container is named by its short ID; what there is nothing to say about is left out."""
    channel = FakeChannel()
    teller = Teller(channel, utcnow)
    teller.complain("the update failed", details="no such image", container_id="c" * 64)
    teller.complain("the disk is full")
    assert channel.messages == [
        {
            "type": "error",
            "error": "the update failed",
            "details": "no such image",
            "container_id": "c" * 12,
        },
        {"type": "error", "error": "the disk is full"},
    ]


async def test_an_answer_that_may_have_been_given() -> None:
    """It is a reply like any other, and goes where replies go."""
    channel = FakeChannel()
    Teller(channel, utcnow).answer("c-1", {"status": "update_started"})
    [(priority, reply)] = channel.sent
    assert priority is Priority.REPLY
    assert (reply["type"], reply["id"]) == ("response", "c-1")
    assert reply["payload"] == {"status": "update_started"}


async def test_without_a_session_nothing_is_sent() -> None:
    """Nor kept: the next session begins with what is then new."""
    channel = FakeChannel()
    teller = Teller(channel, utcnow)
    channel.is_live = False
    teller.tell("update_progress", {})
    channel.is_live = True
    assert channel.sent == []


async def test_a_link_with_too_much_to_send_is_spared() -> None:
    """What cannot be queued is dropped without a word."""
    channel = FakeChannel()
    channel.is_full = True
    Teller(channel, utcnow).tell("update_progress", {})
    assert channel.sent == []


async def test_the_newest_is_dropped_when_the_link_is_slow() -> None:
    """Only so many wait for the transport; once it takes them there is room again."""
    channel = FakeChannel()
    channel.takes = False
    teller = Teller(channel, utcnow, outstanding=2)
    for number in range(4):
        teller.tell("update_progress", {"number": number})
    channel.take_all()
    await asyncio.sleep(0)
    teller.tell("update_progress", {"number": 4})
    assert [payload["number"] for payload in channel.payloads("update_progress")] == [0, 1, 4]


async def test_a_link_that_breaks_makes_room() -> None:
    """Nobody is told that it may not have arrived, and the next session is not held to account for it."""
    channel = FakeChannel()
    channel.takes = False
    teller = Teller(channel, utcnow, outstanding=1)
    teller.tell("update_progress", {"number": 0})
    channel.cut()
    await asyncio.sleep(0)
    channel.is_live = True
    teller.tell("update_progress", {"number": 1})
    assert [payload["number"] for payload in channel.payloads("update_progress")] == [0, 1]


async def test_an_event_given_up_by_its_sender_makes_room() -> None:
    """A queue that is cancelled has taken nothing, and is done with it."""
    channel = FakeChannel()
    channel.takes = False
    teller = Teller(channel, utcnow, outstanding=1)
    teller.tell("update_progress", {"number": 0})
    channel.give_up()
    await asyncio.sleep(0)
    teller.tell("update_progress", {"number": 1})
    assert [payload["number"] for payload in channel.payloads("update_progress")] == [0, 1]
