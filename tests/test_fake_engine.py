"""The engine in memory keeps the contract, and has the bad days it is there for."""

from __future__ import annotations

import asyncio

import pytest
from engine_contract import CONTAINER_EVENTS, DEADLINE_S, EngineContract, Sink, Subject
from fakes.engine import PAPER, RING, FakeEngine

from agent.ports import EngineBusy, EngineTimeout, EngineUnreachable


def now_s() -> float:
    return asyncio.get_running_loop().time()


class TestFakeEngine(EngineContract):
    @pytest.fixture
    def subject(self) -> Subject:
        engine = FakeEngine()

        def add(name: str, *, running: bool = False) -> str:
            container = engine.add(name, running=running)
            if running:
                engine.writes(container, "hello")
            return container

        return Subject(engine, PAPER, add, lambda name: name)


async def test_what_was_carried_out_is_recorded() -> None:
    """In order, by name; what was refused or changed nothing is not."""
    engine = FakeEngine()
    web = engine.add("web", running=True)
    await engine.start(web, deadline_s=1)
    await engine.stop(web, timeout_s=1, deadline_s=1)
    await engine.rename(web, "site", deadline_s=1)
    await engine.remove("site", force=False, deadline_s=1)
    assert engine.actions == [("stop", "web"), ("rename", "web"), ("remove", "site")]
    assert (engine.calls["start"], engine.calls["stop"]) == (1, 1)


async def test_the_ring_has_256_events_of_all_types() -> None:
    """Filters apply afterwards: what other types push out is gone."""
    engine, sink = FakeEngine(), Sink()
    web = engine.add("web")
    await engine.start(web, deadline_s=1)
    for _ in range(RING - 1):
        engine.emit("create", engine.boxes[web], type="volume")
    engine.read_events(CONTAINER_EVENTS, sink)
    await asyncio.sleep(0)
    assert sink.actions(web) == ["start"]
    engine.emit("create", engine.boxes[web], type="volume")
    late = Sink()
    engine.read_events(CONTAINER_EVENTS, late)
    await asyncio.sleep(0)
    assert late.events == []


async def test_down() -> None:
    """Streams end, calls fail, and one under way at once; containers stay, and what happens to them is not told."""
    engine, sink = FakeEngine(), Sink()
    web = engine.add("web", running=True)
    engine.read_events(CONTAINER_EVENTS, sink)
    engine.delay_s["stop"] = 5.0
    async with asyncio.TaskGroup() as tasks:
        stop = tasks.create_task(stop_or_why_not(engine, web))
        await asyncio.sleep(1)
        engine.down()
    assert isinstance(stop.result(), EngineUnreachable)
    assert now_s() == 1.0
    assert sink.reason == "the engine went away"
    with pytest.raises(EngineUnreachable):
        await engine.facts(deadline_s=1)
    engine.dies(web)
    engine.up()
    await asyncio.sleep(10)
    assert engine.actions == []
    assert (engine.boxes[web].status, list(engine.ring)) == ("exited", [])


async def stop_or_why_not(engine: FakeEngine, container: str) -> Exception | None:
    try:
        await engine.stop(container, timeout_s=1, deadline_s=30)
    except EngineUnreachable as error:
        return error
    return None


async def test_a_stream_opened_while_it_is_down() -> None:
    """It ends at once, and says so to the sink instead of raising."""
    engine, sink = FakeEngine(), Sink()
    engine.down()
    engine.read_events(CONTAINER_EVENTS, sink)
    await asyncio.sleep(0)
    assert sink.reason == "the engine is down"


async def test_a_cut_connection_keeps_the_ring() -> None:
    """It was not the engine that went: its events are still there."""
    engine, sink = FakeEngine(), Sink()
    web = engine.add("web")
    await engine.start(web, deadline_s=1)
    engine.down()
    engine.up(keep_ring=True)
    engine.read_events(CONTAINER_EVENTS, sink)
    assert await sink.until(web, "start") == ["start"]


async def test_a_timeout_leaves_the_outcome_open() -> None:
    """The caller gives up at its deadline; the engine does what it was asked to all the same."""
    engine = FakeEngine()
    web = engine.add("web", running=True)
    engine.delay_s["stop"] = 30.0
    with pytest.raises(EngineTimeout):
        await engine.stop(web, timeout_s=1, deadline_s=10)
    assert (now_s(), engine.boxes[web].running) == (10.0, True)
    await asyncio.sleep(20)
    assert engine.actions == [("stop", "web")]


async def test_a_caller_that_is_cancelled() -> None:
    """A request that was sent is carried out, though nobody waits for the answer."""
    engine = FakeEngine()
    web = engine.add("web", running=True)
    engine.delay_s["kill"] = 5.0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await engine.kill(web, deadline_s=30)
    await asyncio.sleep(5)
    assert engine.actions == [("kill", "web")]


async def test_a_failing_call() -> None:
    """It raises what it is told to, and does nothing."""
    engine = FakeEngine()
    web = engine.add("web", running=True)
    engine.failing["stop"] = EngineBusy("4 operations are under way")
    with pytest.raises(EngineBusy):
        await engine.stop(web, timeout_s=1, deadline_s=1)
    assert engine.actions == []


async def test_a_pulled_image_moves_the_tag() -> None:
    """A container keeps its image; the list then shows the image's ID in place of the name."""
    engine, sink = FakeEngine(), Sink()
    engine.add("web", image=PAPER)
    engine.read_events({"type": ["image"]}, sink)
    await engine.pull(PAPER, deadline_s=1)
    [listed] = await engine.containers(deadline_s=DEADLINE_S)
    assert listed["Image"] == listed["ImageID"]
    assert listed["Image"] != engine.images[PAPER]
    assert await sink.until(PAPER, "pull") == ["pull"]
