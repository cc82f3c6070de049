"""Samples on both sockets of a real server: what it shows, what it keeps, and what an unwilling one costs."""

from __future__ import annotations

import asyncio

from fakes.telemetry import FakeSource
from scenarios.world import World

from agent.hub.host import Host


def told(world: World, host: Host, container: str) -> tuple[float, int]:
    """(CPU, memory) as the live view shows them."""
    latest = world.hub.metrics.container(host.id, container)
    assert latest is not None
    return latest.sample.cpu_percent, latest.sample.memory_usage


async def test_a_day_in_the_life_of_a_container() -> None:
    """Live view and history get the same samples; when it ends the view is cleared."""
    async with World() as world:
        world.figures = FakeSource()
        web = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        await asyncio.sleep(61)
        assert told(world, host, web) == (10.0, 256)
        points = world.hub.history.of(host.id, web)
        assert [round(point.sample.cpu_percent) for point in points] == [0, *[10] * 12]
        assert {point.sample.container_name for point in points} == {"web"}

        world.engine.dies(web)
        await asyncio.sleep(1)
        assert told(world, host, web) == (0.0, 0)
        await asyncio.sleep(31)
        assert world.hub.history.fresh(host.id) == {}
        assert world.hub.complaints == []


async def test_the_host() -> None:
    """Its own figures are shown where they can be read, and the sum of its containers where not."""
    async with World() as world:
        world.figures = FakeSource()
        world.engine.add("web", running=True)
        world.meter.is_blind = False
        world.start()
        host = await world.online()
        await asyncio.sleep(6)
        assert world.hub.metrics.host(host.id).source == "agent"
        assert world.hub.metrics.host(host.id).cpu_percent == 25.0
        world.meter.is_blind = True
        await asyncio.sleep(12)
        assert world.hub.metrics.host(host.id).source == "containers"
        assert world.hub.complaints == []


async def test_a_history_that_takes_nothing_for_half_a_minute() -> None:
    """The live view goes on as if nothing were; the second socket is opened anew."""
    async with World() as world:
        world.figures = FakeSource()
        web = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        await asyncio.sleep(11)
        world.hub.faults.stop_reading(host, on="stats")
        await asyncio.sleep(60)
        latest = world.hub.metrics.container(host.id, web)
        assert latest is not None
        assert latest.count == 15
        assert [event for _, event, _ in world.timeline()] == ["EngineKnown", "Registered"]
        assert world.timeline("stats_link") == [
            (0.0, "TokenKnown", "dialling"),
            (0.0, "LinkOpened", "streaming"),
            (35.0, "LinkLost", "backoff"),
            (35.493, "RetryDue", "dialling"),
            (35.493, "LinkOpened", "streaming"),
        ]
        assert world.hub.history.fresh(host.id).keys() == {web[:12]}


async def test_a_slow_way_to_the_server() -> None:
    """Samples are fewer then. They never pile up in the kernel, where pongs would come too late behind them."""
    async with World(poll_s=None) as world:
        world.figures = FakeSource()
        for number in range(150):
            world.engine.add(f"web{number}", running=True)
        world.start()
        host = await world.online()
        await asyncio.sleep(6)
        world.hub.faults.throttle(host, 4_000)
        world.hub.faults.throttle(host, 4_000, on="stats")
        await asyncio.sleep(250)
        assert [event for _, event, _ in world.timeline()] == ["EngineKnown", "Registered"]
        assert world.timeline("stats_link") == [
            (0.0, "TokenKnown", "dialling"),
            (0.0, "LinkOpened", "streaming"),
        ]


async def test_a_server_without_history() -> None:
    """It is asked again after minutes, or at the next registration; nothing else suffers."""
    async with World() as world:
        world.figures = FakeSource()
        web = world.engine.add("web", running=True)
        world.hub.faults.refuse_stats(404)
        world.start()
        host = await world.online()
        await asyncio.sleep(121)
        assert told(world, host, web) == (10.0, 256)
        assert world.hub.history.of(host.id, web) == []
        [_, failed] = world.timeline("stats_link")
        assert failed == (0.0, "AttemptFailed", "backoff")

        world.hub.faults.heal()
        world.hub.faults.cut(host)
        await world.until("backoff")
        host = await world.online()
        await asyncio.sleep(6)
        assert len(world.hub.history.of(host.id, web)) == 2


async def test_a_session_that_breaks() -> None:
    """No samples while there is none; what stopped meanwhile shows zeros, and the history's socket stays."""
    async with World() as world:
        world.figures = FakeSource()
        web = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        await asyncio.sleep(11)
        world.hub.faults.cut(host)
        world.engine.dies(web)
        await world.until("backoff")
        host = await world.online()
        await asyncio.sleep(1)
        assert told(world, host, web) == (0.0, 0)
        assert world.timeline("stats_link") == [
            (0.0, "TokenKnown", "dialling"),
            (0.0, "LinkOpened", "streaming"),
        ]
