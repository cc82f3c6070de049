"""What a link, a server and an engine can do in a day, and that the agent is back after each of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from frozen_loop import FrozenLoop
from scenarios.world import World


async def test_first_registration() -> None:
    """With a URL and a token the agent registers, appears as a host and follows the engine."""
    async with World() as world:
        world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        assert host.name == "engine-of-tests"
        await world.stop()
        assert world.timeline() == [
            (0.0, "EngineKnown", "registering"),
            (0.0, "Registered", "connected"),
            (1.0, "StopRequested", "stopped"),
        ]


async def test_a_day_of_outages() -> None:
    """Three cuts, a server that is away for an hour, an NTP step: every container event arrives, in order."""
    async with World() as world:
        web = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FrozenLoop)
        for hour in range(1, 25):
            await asyncio.sleep(3600)
            if hour % 8 == 0:
                world.hub.faults.cut(host)
            if hour == 12:
                await world.hub.stop_listening()
            if hour == 13:
                await world.hub.start_listening()
            if hour == 18:
                loop.step_wall_clock(timedelta(hours=-2))
            await world.engine.restart(web, timeout_s=10, deadline_s=30)
        await asyncio.sleep(120)
        await world.stop()
        effects = [event["effect"] for event in world.hub.events(host.id)]
        assert effects == ["died", "started", "restarted"] * 24
        world.assert_told("a-day-of-outages")
