"""A container update as the server sees it: told of its end in time, whatever happens to the link and to the agent."""

from __future__ import annotations

import asyncio

import pytest
from fakes.engine import Recipe
from scenarios.world import World

from agent.hub.replies import RequestFailed
from agent.hub.updates import FAILED, UpdateResult

OLD, NEW = "paper:2.4", "paper:2.5"


def images(world: World) -> dict[str, str]:
    """What each container runs, by its name."""
    return {box.name: box.image for box in world.engine.boxes.values()}


def new_id(world: World) -> str:
    return next(box.id for box in world.engine.boxes.values() if box.name == "web")[:12]


async def test_an_update() -> None:
    """The server is told the new ID within seconds, and has nothing to complain about on the way."""
    async with World() as world:
        old = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        begun_s = asyncio.get_running_loop().time()
        result = await world.hub.update_container(host.id, old, NEW)
        assert result == UpdateResult("update_container", new_id(world))
        assert images(world) == {"web": NEW}
        assert asyncio.get_running_loop().time() - begun_s < 15
        assert world.hub.complaints == []


async def test_a_link_that_is_cut_meanwhile() -> None:
    """The completion waits for the next session, and is still in time."""
    async with World() as world:
        world.engine.registry[NEW] = Recipe(health=[(10, "healthy")])
        old = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        async with asyncio.TaskGroup() as tasks:
            updating = tasks.create_task(world.hub.update_container(host.id, old, NEW))
            await asyncio.sleep(8)
            world.hub.faults.cut(host)
            world.hub.faults.stall_handshake(30)
        assert updating.result().container_id == new_id(world)
        assert host.connections > 1
        assert world.hub.complaints == []


@pytest.mark.parametrize("dies_after_s", [1.0, 6.0, 9.0, 12.0])
async def test_an_agent_that_is_killed_meanwhile(dies_after_s: float) -> None:
    """Its successor completes the update, and the server takes the news from that one."""
    async with World() as world:
        world.engine.registry[NEW] = Recipe(health=[(10, "healthy")])
        world.engine.delay_s |= {"stop": 2.0, "remove": 3.0}
        old = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        async with asyncio.TaskGroup() as tasks:
            updating = tasks.create_task(world.hub.update_container(host.id, old, NEW))
            await asyncio.sleep(dies_after_s)
            await world.kill()
            await asyncio.sleep(5)
            world.start()
        assert updating.result() == UpdateResult("update_container", new_id(world))
        assert images(world) == {"web": NEW}
        await asyncio.sleep(60)
        assert len(world.hub.updates.completed) == 1


async def test_an_image_that_does_not_exist() -> None:
    """The user reads the reason at once, and need not wait for five minutes."""
    async with World() as world:
        old = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        begun_s = asyncio.get_running_loop().time()
        result = await world.hub.update_container(host.id, old, "missing:1")
        assert result.error == "manifest for missing:1 not found: manifest unknown"
        assert asyncio.get_running_loop().time() - begun_s < 1


async def test_an_image_that_is_no_good() -> None:
    """The server can only say that something failed, but the host's event log has had the reason all along."""
    async with World() as world:
        world.engine.registry[NEW] = Recipe(dies_after_s=0.1, exit_code=1)
        old = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        result = await world.hub.update_container(host.id, old, NEW)
        assert result.error == FAILED
        assert images(world) == {"web": OLD}
        assert host.online
        assert world.hub.complaints == []
        [entry] = [each for each in world.hub.log(host.id) if "it keeps crashing" in str(each)]
        assert f"The update of web to {NEW} failed" in str(entry)


async def test_a_slow_pull() -> None:
    """The acknowledgement is held back as long as the server waits for it, so that there is time for the rest."""
    async with World() as world:
        world.engine.delay_s["pull"] = 300.0
        old = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        result = await world.hub.update_container(host.id, old, NEW)
        assert result == UpdateResult("update_container", new_id(world))
        assert world.hub.complaints == []


async def test_a_restart_that_the_server_tries_meanwhile() -> None:
    """It starts what it finds stopped; the container that is being updated is left alone, with a reason."""
    async with World() as world:
        world.engine.delay_s["create"] = 10.0
        old = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        async with asyncio.TaskGroup() as tasks:
            updating = tasks.create_task(world.hub.update_container(host.id, old, NEW))
            await asyncio.sleep(5)
            with pytest.raises(RequestFailed, match="web is being updated"):
                await world.hub.request(host.id, "start", {"container_id": old[:12]})
        assert updating.result().success
