"""The end of a release in good order, part by part."""

from __future__ import annotations

import asyncio

import pytest
from scenarios.world import World

from agent.hub.replies import RequestFailed
from agent.runtime.at_work import AtWork
from agent.runtime.dispatcher import BUSY


def at_work(world: World) -> AtWork:
    agent = world.agent
    return AtWork(agent.runtime, agent.session, agent.dispatcher, agent.delivery, agent.status)


async def test_changes_are_refused_until_they_are_taken_again() -> None:
    """With a text that says when to try again; reads are answered all the while."""
    async with World(poll_s=None) as world:
        box = world.engine.add("web")[:12]
        world.start()
        host = await world.online()
        end = at_work(world)
        await end.drain()
        with pytest.raises(RequestFailed, match="busy: ") as refused:
            await world.hub.request(host.id, "start", {"container_id": box})
        assert refused.value.text == BUSY
        assert len(await world.hub.request(host.id, "list_containers")) == 1
        end.resume()
        await world.hub.request(host.id, "start", {"container_id": box})


@pytest.mark.parametrize(("takes_s", "waits_s"), [(2.0, 2.0), (20.0, 4.0)])
async def test_a_change_that_is_under_way(takes_s: float, waits_s: float) -> None:
    """It is waited for, not for ever: it stands in the ledger."""
    async with World(poll_s=None) as world:
        box = world.engine.add("web", running=True)[:12]
        world.start()
        host = await world.online()
        world.engine.delay_s["stop"] = takes_s
        loop = asyncio.get_running_loop()
        stopping = asyncio.gather(world.hub.request(host.id, "stop", {"container_id": box}))
        await asyncio.sleep(0.01)
        begun_s = loop.time()
        await at_work(world).drain()
        assert waits_s - 0.1 <= loop.time() - begun_s <= waits_s + 3.1
        await stopping


async def test_a_journal_that_is_brought_home() -> None:
    """What has happened is with the server before the next release begins; a link that is gone is not waited for."""
    async with World(poll_s=None) as world:
        box = world.engine.add("web", running=True)
        world.start()
        await world.online()
        world.engine.dies(box)
        await asyncio.sleep(0.2)
        await at_work(world).drain()
        assert not world.store.undelivered
        await world.hub.stop_listening()
        world.engine.starts_unseen(box)
        world.engine.dies(box)
        await asyncio.sleep(1)
        begun_s = asyncio.get_running_loop().time()
        await at_work(world).drain()
        assert asyncio.get_running_loop().time() - begun_s <= 3.1


async def test_long_work_has_a_name() -> None:
    """Updates of containers and deployments, so that the user is told what is waited for."""
    async with World(poll_s=None) as world:
        box = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        end = at_work(world)
        assert end.under_way() == ""
        assert end.follows_engine
        world.engine.delay_s["pull"] = 5
        updating = asyncio.gather(world.hub.update_container(host.id, box, "paper:2.5"))
        await asyncio.sleep(2)
        assert end.under_way() == "container update web"
        await updating


async def test_an_engine_that_went_away() -> None:
    """It is known, but does not answer: a new release need not show that it does."""
    async with World(poll_s=None) as world:
        world.start()
        await world.online()
        await world.until("following", chart="engine")
        assert at_work(world).follows_engine
        world.engine.down()
        await world.until("down", chart="engine")
        await asyncio.sleep(0.1)
        assert not at_work(world).follows_engine
