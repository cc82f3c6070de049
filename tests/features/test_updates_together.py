"""Updates that get in each other's way: one at a time has a container, whoever else it is a neighbour of."""

from __future__ import annotations

import asyncio

import pytest
from fakes.engine import Recipe
from features.update_world import NEW, Process, UpdateWorld

from agent.ports import CommandFailed

STARTED = {"status": "update_started"}


class Neighbours(UpdateWorld):
    """A container `vpn`, and `side` in its network. Both run."""

    def __init__(self) -> None:
        super().__init__()
        self.vpn = self.engine.add("vpn", running=True)
        shared = {"NetworkMode": f"container:{self.vpn}"}
        self.side = self.engine.add("side", running=True, image="side:1", host_config=shared)

    def is_sound(self) -> bool:
        """Each name is there once, both run, and the one is in the network of the other."""
        named = self.named()
        side = self.engine.boxes[named["side"]]
        return (
            named.keys() == {"vpn", "side"}
            and {status for _, status in self.states().values()} == {"running"}
            and side.network_mode == f"container:{named['vpn']}"
        )


async def test_one_whose_dependent_is_being_updated() -> None:
    """It would be recreated by both: the second one is refused before anything of it is touched."""
    world = Neighbours()
    world.engine.registry["side:2"] = Recipe(health=[(20, "healthy")])
    async with world.process() as process:
        assert await process.update(world.side, "side:2") == STARTED
        await asyncio.sleep(5)
        with pytest.raises(CommandFailed, match=r"^side is being updated; try again when"):
            await process.update(world.vpn)
        await process.settled()
        assert world.is_sound()
        assert await process.update(world.vpn) == STARTED
        await process.settled()
    assert world.is_sound()
    assert world.states() == {"vpn": (NEW, "running"), "side": ("side:2", "running")}


@pytest.mark.parametrize("after_s", [1, 4, 9.9, 10, 10.1, 12])
async def test_a_dependent_of_one_that_is_being_updated(after_s: float) -> None:
    """Whenever it is asked for, one of the two is refused and the other one done."""
    world = Neighbours()
    world.engine.delay_s |= {"pull": 10.0, "inspect_container": 0.05}
    world.engine.registry[NEW] = Recipe(health=[(20, "healthy")])
    async with world.process() as process, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(outcome(process, world.vpn, NEW))
        await asyncio.sleep(after_s)
        second = tasks.create_task(outcome(process, world.side, "side:2"))
        told = await first, await second
        await process.settled()
    assert world.is_sound()
    refusals = [why for why in told if why]
    assert len(refusals) == 1
    assert "is being updated; try again when that is done" in refusals[0]
    assert len(world.completions()) == 1


async def outcome(process: Process, container_id: str, image: str) -> str:
    """Why it was refused, "" if it was not."""
    try:
        await process.update(container_id, image)
    except CommandFailed as refusal:
        return str(refusal)
    return ""


async def test_an_engine_that_comes_back_twice(caplog: pytest.LogCaptureFixture) -> None:
    """What is gone on with already is not gone on with once more."""
    world = UpdateWorld()
    old = world.engine.add("web", running=True)
    world.engine.registry[NEW] = Recipe(refuses_start="no such file")
    async with world.process() as process:
        world.engine.delay_s["remove"] = 5.0
        await process.update(old)
        await asyncio.sleep(1)
    del world.engine.delay_s["remove"]
    world.engine.delay_s["inspect_container"] = 1.0
    async with world.process() as process:
        process.updates.engine_came_back()
        process.updates.engine_came_back()
        await process.settled()
        assert process.way() == ["rolled_back"]
    assert world.named() == {"web": old}
    assert len(world.complaints()) == 1
    assert [each.message for each in caplog.records if each.levelname == "ERROR"] == []
