"""What the engine can do while the server is away, the agent dead, or both: the server learns how it ended."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from frozen_loop import FrozenLoop
from scenarios.world import World

from agent.core.journal import REPORTED


def told(world: World, host_id: str) -> list[tuple[str, str]]:
    """(container, effect) as the server has it, in order."""
    return [(event["container_name"], event["effect"]) for event in world.hub.events(host_id)]


async def test_nothing_is_told_of_the_time_before_us() -> None:
    """On the very first start the engine's ring is adopted as seen: what happened before is not ours to report."""
    async with World() as world:
        web = world.engine.add("web", running=True)
        await world.engine.restart(web, timeout_s=10, deadline_s=30)
        world.start()
        host = await world.online()
        await world.engine.kill(web, deadline_s=30)
        await asyncio.sleep(5)
        assert told(world, host.id) == [("web", "died")]


async def test_an_engine_restart_while_the_server_is_away() -> None:
    """Its ring is empty afterwards; deaths, starts and deletions are concluded from the containers, each once."""
    async with World() as world:
        dies = world.engine.add("dies", running=True)
        starts = world.engine.add("starts")
        goes = world.engine.add("goes", running=True)
        restarts = world.engine.add("restarts", running=True)
        world.engine.add("stays", running=True)
        world.start()
        host = await world.online()
        await asyncio.sleep(100)
        await world.hub.stop_listening()
        await asyncio.sleep(10)
        world.engine.down()
        await asyncio.sleep(10)
        world.engine.dies_unseen(dies, exit_code=3)
        world.engine.starts_unseen(starts)
        world.engine.goes_unseen(goes)
        world.engine.starts_unseen(restarts)
        world.engine.up()
        await asyncio.sleep(30)
        await world.hub.start_listening()
        await world.online()
        await asyncio.sleep(60)
        assert sorted(told(world, host.id)) == [
            ("dies", "died"),
            ("goes", "deleted"),
            ("goes", "stopped"),
            ("restarts", "started"),
            ("restarts", "stopped"),
            ("starts", "started"),
        ]
        assert world.timeline("engine") == [
            (0.0, "EngineAnswered", "catching_up"),
            (1.0, "CaughtUp", "following"),
            (111.0, "StreamEnded", "down"),
            (111.278, "EngineSilent", "down"),
            (112.287, "EngineSilent", "down"),
            (112.799, "EngineSilent", "down"),
            (113.752, "EngineSilent", "down"),
            (120.264, "EngineSilent", "down"),
            (132.71, "EngineAnswered", "catching_up"),
            (134.71, "CaughtUp", "following"),
        ]


async def test_killed_between_an_event_and_its_delivery() -> None:
    """The journal outlives the process: what was not confirmed is sent by the next one, in order."""
    async with World() as world:
        web = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        await world.hub.stop_listening()
        await world.until("backoff")
        await world.engine.restart(web, timeout_s=10, deadline_s=30)
        await asyncio.sleep(1)
        await world.kill()
        await world.engine.kill(web, deadline_s=30)
        await world.hub.start_listening()
        world.start()
        await world.online()
        await asyncio.sleep(5)
        assert told(world, host.id) == [
            ("web", "died"),
            ("web", "started"),
            ("web", "restarted"),
            ("web", "died"),
        ]


async def test_more_than_the_ring_holds() -> None:
    """A hundred restarts while the agent is dead: the ring's are told in order, and the last word is right."""
    async with World() as world:
        web, quiet = world.engine.add("web", running=True), world.engine.add("quiet", running=True)
        world.start()
        host = await world.online()
        await world.kill()
        world.engine.dies_unseen(quiet)
        for _ in range(100):
            await world.engine.restart(web, timeout_s=10, deadline_s=30)
        remembered = [event for event in world.engine.ring if event["Action"] in REPORTED]
        assert len(remembered) < 300
        world.start()
        await world.online()
        await asyncio.sleep(60)
        of_web = [effect for name, effect in told(world, host.id) if name == "web"]
        assert of_web[-3:] == ["died", "started", "restarted"]
        assert len(of_web) == len(remembered)
        assert ("quiet", "died") in told(world, host.id)


async def test_the_wall_clock_steps_back() -> None:
    """An NTP step of two hours: no timer moves, nothing is told twice, nothing is missed."""
    async with World() as world:
        web = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FrozenLoop)
        for step in (timedelta(hours=-2), timedelta(hours=5)):
            loop.step_wall_clock(step)
            world.hub.faults.cut(host)
            await world.engine.kill(web, deadline_s=30)
            await world.engine.start(web, deadline_s=30)
            await world.until("backoff")
            await world.online()
            await asyncio.sleep(120)
        assert told(world, host.id) == [("web", "died"), ("web", "started")] * 2


async def test_no_engine_at_the_first_start() -> None:
    """Without an engine there is no ID to register with; when it answers, the agent registers at once."""
    async with World() as world:
        world.engine.down()
        world.start()
        await asyncio.sleep(100)
        assert not world.hub.hosts
        world.engine.up()
        await world.online()
        assert [line[1:] for line in world.timeline()] == [
            ("EngineKnown", "registering"),
            ("Registered", "connected"),
        ]


async def test_no_engine_at_a_later_start() -> None:
    """A known host registers without its engine, under the name it had, and its list is an error."""
    async with World() as world:
        world.start()
        name = (await world.online()).name
        await world.kill()
        world.engine.down()
        world.start()
        await world.until("connected")
        host = await world.hub.host_online(timeout_s=10)
        await asyncio.sleep(60)
        assert host.name == name
        assert host.error is not None
        assert "engine" in host.error
