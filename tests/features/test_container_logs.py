"""The `get_logs` action."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from fakes.engine import FakeEngine
from features.asking import Asking
from pydantic import ValidationError

from agent.core.log_lines import NOTICE
from agent.core.replies import MAX_MESSAGE_BYTES, result
from agent.features.logs import READS_AT_ONCE, get_logs
from agent.ports import CommandFailed, Json, NotFound


class World(Asking):
    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.web = self.engine.add("web", running=True)
        super().__init__([get_logs(self.engine)])

    async def lines(self, **payload: object) -> list[str]:
        """The log's lines without their stamps."""
        reply = await self.ask("get_logs", container_id=self.web[:12], **payload)
        return [line.partition(" ")[2] for line in reply["logs"].splitlines()]


async def test_both_streams_in_the_order_of_time() -> None:
    """Each line is `STAMP TEXT`, the stamp ending in Z."""
    world = World()
    world.engine.writes(world.web, "one")
    await asyncio.sleep(1)
    world.engine.writes(world.web, "two", stream=2)
    reply = await world.ask("get_logs", container_id=world.web[:12], tail=100)
    assert reply == {
        "logs": "2026-01-01T00:00:00.000000000Z one\n2026-01-01T00:00:01.000000000Z two"
    }


async def test_a_tty() -> None:
    """A container with a terminal has one stream, without headers."""
    world = World()
    world.engine.boxes[world.web].config["Tty"] = True
    world.engine.writes(world.web, "one")
    assert await world.lines() == ["one"]


async def test_a_silent_container() -> None:
    """No lines are an empty text, not an error."""
    world = World()
    assert await world.ask("get_logs", container_id=world.web[:12]) == {"logs": ""}


@pytest.mark.parametrize(
    ("payload", "count"),
    [({}, 100), ({"tail": 3}, 3), ({"tail": 0}, 1), ({"tail": -5}, 1), ({"tail": 99_999}, 10_000)],
)
async def test_tail_is_clamped(payload: Json, count: int) -> None:
    """To 1 … 10 000 lines, the newest."""
    world = World()
    for number in range(10_001):
        world.engine.boxes[world.web].log.append(("2026-01-01T00:00:00.000000000Z", 1, str(number)))
    lines = await world.lines(**payload)
    assert (len(lines), lines[-1]) == (count, "10000")


@pytest.mark.parametrize(
    ("since", "lines"),
    [
        (None, ["one", "two"]),
        ("", ["one", "two"]),
        ("2026-01-01T00:00:05Z", ["two"]),
        ("2026-01-01T01:00:05+01:00", ["two"]),
        (str(int(datetime.fromisoformat("2026-01-01T00:00:11Z").timestamp())), []),
    ],
)
async def test_since(since: str | None, lines: list[str]) -> None:
    """RFC 3339 or Unix seconds."""
    world = World()
    world.engine.writes(world.web, "one")
    await asyncio.sleep(10)
    world.engine.writes(world.web, "two")
    assert await world.lines(since=since) == lines


async def test_an_odd_since() -> None:
    """An error that says what is wanted; the engine is not asked."""
    world = World()
    with pytest.raises(CommandFailed, match="since: neither an RFC 3339 instant nor"):
        await world.ask("get_logs", container_id=world.web[:12], since="yesterday")
    assert not world.engine.calls


@pytest.mark.parametrize(
    "payload", [{"tail": "100"}, {"tail": None}, {"since": 7}, {"since": "1" * 65}]
)
async def test_an_odd_payload(payload: Json) -> None:
    """One error, which names the key."""
    world = World()
    with pytest.raises(ValidationError) as invalid:
        await world.ask("get_logs", container_id=world.web[:12], **payload)
    assert [error["loc"] for error in invalid.value.errors()] == [tuple(payload)]


@pytest.mark.parametrize("text", ["x" * 2000, "\x1b" * 500, 'say "hello" \\ ' * 150, "ü" * 1000])
async def test_a_log_that_is_too_large_for_a_reply(text: str) -> None:
    """It loses its oldest lines and says so; the reply fits, whatever its characters cost."""
    world = World()
    log = world.engine.boxes[world.web].log
    log.extend(("2026-01-01T00:00:00.000000000Z", 1, text) for _ in range(10_000))
    log.append(("2026-01-01T00:00:01.000000000Z", 2, "the end"))
    reply = await world.ask("get_logs", container_id=world.web[:12], tail=10_000)
    first, *_, last = reply["logs"].split("\n")
    assert first.endswith(NOTICE)
    assert last.endswith(" the end")
    message = result("c0ffee", reply)
    assert MAX_MESSAGE_BYTES * 0.99 < len(message) <= MAX_MESSAGE_BYTES


async def test_many_at_once() -> None:
    """What is in memory is bounded: a few are read at a time, and the rest wait for their turn."""
    world = World()
    world.engine.writes(world.web, "one")
    world.engine.delay_s["logs"] = 1.0
    async with asyncio.TaskGroup() as asking:
        for _ in range(2 * READS_AT_ONCE + 1):
            asking.create_task(world.lines())
        await asyncio.sleep(0.5)
        assert world.engine.calls["logs"] == READS_AT_ONCE
    assert asyncio.get_running_loop().time() == 3.0


async def test_the_loop_is_not_held() -> None:
    """Whoever else has something to do gets their turn all along."""
    world = World()
    log = world.engine.boxes[world.web].log
    log.extend(("2026-01-01T00:00:00.000000000Z", 1, "x" * 1000) for _ in range(10_000))
    turns = 0
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(world.lines(tail=10_000))
        while not reading.done():
            turns += 1
            assert turns < 1_000_000, "it never ends"  # no time passes here, so none can run out
            await asyncio.sleep(0)
    assert turns >= 300


async def test_nobody() -> None:
    """The engine's own error."""
    with pytest.raises(NotFound):
        await World().ask("get_logs", container_id="f" * 12)
