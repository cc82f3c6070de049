"""The list and the statistics know of one another's inspections: an engine is asked once for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fakes.channel import FakeChannel
from fakes.engine import FakeEngine
from fakes.scope import FakeScope
from fakes.telemetry import FakeMeter, FakeSource
from features.asking import Asking

from agent.clock import utcnow
from agent.features.inspections import Inspections
from agent.features.inventory import Inventory
from agent.features.telemetry import RELIST_S, REST_S, Telemetry
from agent.ports import EngineBusy, Json

LONG_S = 600.0


class World(Asking):
    """An engine with both who ask for inspections, put together as in the catalogue."""

    def __init__(self) -> None:
        self.engine, self.source, meter = FakeEngine(), FakeSource(), FakeMeter()
        self.source.needs_processes, meter.is_blind = True, True
        self.inspections = Inspections(self.engine)
        self.inventory = Inventory(self.engine, self.inspections)
        self.telemetry = Telemetry(
            self.engine, self.inspections, FakeChannel(), self.source, meter, utcnow
        )
        super().__init__([self.inventory.handler()])
        self.engine.read_events({}, self)

    def event(self, event: Json) -> None:
        self.inspections.notice(event)
        self.inventory.invalidate(event)
        self.telemetry.notice(event)

    def ended(self, reason: str) -> None: ...

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        async with FakeScope() as scope:
            self.telemetry.acquire(scope)
            yield
            await self.telemetry.release()

    async def list(self) -> dict[str, Json]:
        """The entries by the container's name."""
        entries: list[Any] = await self.ask("list_containers")
        return {item["Names"][0].removeprefix("/"): item for item in entries}

    def inspected(self) -> int:
        """How often the engine was asked since this was asked last."""
        return self.engine.calls.pop("inspect_container", 0)


async def test_statistics_first_and_then_the_list() -> None:
    """What the session began with is enough for the server's first list; those that stand still are added to it."""
    world = World()
    for name in ("web", "db"):
        world.engine.add(name, running=True)
    world.engine.add("job")
    async with world.session():
        await asyncio.sleep(1)
        assert world.inspected() == 2
        assert all("Env" in entry for entry in (await world.list()).values())
        assert world.inspected() == 1
        await asyncio.sleep(LONG_S)
        await world.list()
        assert world.inspected() == 0


async def test_the_list_first_and_then_statistics() -> None:
    """A session after an outage finds the processes known."""
    world = World()
    world.engine.add("web", running=True)
    await world.list()
    assert world.inspected() == 1
    async with world.session():
        await asyncio.sleep(5)
        assert world.inspected() == 0
        assert len(world.source.looks[-1][1]) == 1


async def test_a_start_is_inspected_once() -> None:
    """For another process and another start time together."""
    world = World()
    web = world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(1)
        await world.list()
        world.inspected()
        await world.engine.restart(web, timeout_s=1, deadline_s=5)
        await asyncio.sleep(1)
        listed = await world.list()
        assert world.inspected() == 1
        assert listed["web"]["StartedAt"] == "2026-01-01T00:00:01.000000Z"


async def test_a_process_that_is_another_one() -> None:
    """A restart that no event told of: what is remembered is not believed when nothing can be read."""
    world = World()
    web = world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(1)
        await world.list()
        assert world.inspected() == 1
        world.engine.dies_unseen(web)
        world.engine.starts_unseen(web)
        world.source.unreadable = {web}
        await asyncio.sleep(1.5 * REST_S)
        assert world.inspected() == 1
        assert (await world.list())["web"]["StartedAt"] == "2026-01-01T00:00:01.000000Z"


async def test_a_start_that_no_event_told_of() -> None:
    """The list had seen it standing still: that it has no process is of another time."""
    world = World()
    web = world.engine.add("web")
    async with world.session():
        await world.list()
        world.engine.starts_unseen(web)
        await asyncio.sleep(RELIST_S + REST_S)
        assert (await world.inspections.of(web, deadline_s=1)).process is not None
        assert world.inspected() == 2


async def test_an_engine_that_tells_no_more() -> None:
    """Nothing can be read of a container, and the engine hangs when it is asked why: the list still has what it had."""
    world = World()
    web = world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(1)
        before = await world.list()
        world.source.unreadable = {web}
        world.engine.failing["inspect_container"] = EngineBusy("4 reads")
        await asyncio.sleep(3 * REST_S)
        assert world.inspected() > 1
        assert await world.list() == before


async def test_an_engine_that_came_back() -> None:
    """Events may have been missed: everything is asked for once more."""
    world = World()
    web = world.engine.add("web", running=True)
    await world.inspections.of(web, deadline_s=1)
    world.inspections.events_were_missed()
    await world.inspections.of(web, deadline_s=1)
    assert world.inspected() == 2


@pytest.mark.parametrize("action", ["exec_start: /health", "health_status: healthy", "top"])
async def test_what_changes_no_inspection(action: str) -> None:
    """Health probes make three events each."""
    world = World()
    web = world.engine.add("web", running=True)
    await world.inspections.of(web, deadline_s=1)
    world.engine.emit(action, world.engine.boxes[web])
    await world.inspections.of(web, deadline_s=1)
    assert world.inspected() == 1


async def test_an_engine_that_does_not_tell() -> None:
    """That is for whoever asked, and nothing is remembered of it."""
    world = World()
    web = world.engine.add("web", running=True)
    world.engine.failing["inspect_container"] = EngineBusy("4 reads")
    with pytest.raises(EngineBusy):
        await world.inspections.of(web, deadline_s=1)
    world.engine.failing.clear()
    assert (await world.inspections.of(web, deadline_s=1)).process is not None


async def test_many_that_come_and_go() -> None:
    """Nothing is left of them, whether or not anybody lists."""
    world = World()
    async with world.session():
        for number in range(100):
            each = world.engine.add(f"c{number}")
            await world.engine.start(each, deadline_s=5)
            await asyncio.sleep(1)
            await world.engine.remove(each, force=True, deadline_s=5)
    assert world.inspected() == 100
    assert world.inspections.known == {}
