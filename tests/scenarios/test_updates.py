"""The state `updating`, with a procedure that goes as told: the session goes on until the next release takes over."""

from __future__ import annotations

import asyncio

import pytest
from fakes.update import FakeUpdate
from scenarios.world import World

from agent.adapters.no_update import REASON
from agent.hub.replies import RequestFailed

FIRST = [(0.0, "EngineKnown", "registering"), (0.0, "Registered", "connected")]
ORDER = {"image": "registry.test/dockmon-agent:3.1.0", "version": "3.1.0", "checksum": None}


async def test_an_update_that_is_staged() -> None:
    """Acknowledged at once; work goes on meanwhile; then the agent stops, and whoever supervises it starts the next."""
    async with World(poll_s=None) as world:
        world.update = FakeUpdate(takes_s=10)
        box = world.engine.add("web")
        world.start()
        host = await world.online()
        answer = await world.hub.request(host.id, "self_update", ORDER)
        assert answer == {"status": "self_update_started"}
        await asyncio.sleep(5)
        await world.hub.request(host.id, "start", {"container_id": box[:12]})
        await asyncio.sleep(10)
        assert world.timeline() == [
            *FIRST,
            (1.0, "UpdateRequested", "updating"),
            (11.0, "UpdateStaged", "stopped"),
        ]
        assert not host.online
        assert set(world.agent.runtime.states().values()) == {"stopped"}


async def test_an_update_that_fails() -> None:
    """The release that runs goes on, over the same connection."""
    async with World(poll_s=None) as world:
        world.update = FakeUpdate(takes_s=3, reason="the signature does not match")
        world.start()
        host = await world.online()
        await world.hub.request(host.id, "self_update", ORDER)
        await asyncio.sleep(10)
        assert world.timeline() == [
            *FIRST,
            (1.0, "UpdateRequested", "updating"),
            (4.0, "UpdateFailed", "connected"),
        ]
        assert host.connections == 1


async def test_an_update_whose_link_breaks() -> None:
    """Nothing has been switched yet: the procedure is cancelled, and the agent comes back as what it was."""
    async with World(poll_s=None) as world:
        world.update = update = FakeUpdate(takes_s=100)
        world.start()
        host = await world.online()
        await world.hub.request(host.id, "self_update", ORDER)
        await asyncio.sleep(5)
        world.hub.faults.cut(host)
        await world.until("connected")
        assert [request.version for request in update.cancelled] == ["3.1.0"]
        assert world.timeline() == [
            *FIRST,
            (1.0, "UpdateRequested", "updating"),
            (6.0, "LinkLost", "backoff"),
            (6.363, "RetryDue", "registering"),
            (6.363, "Registered", "connected"),
        ]


async def test_an_update_that_never_ends() -> None:
    """It is given up when its steps had all the time that they may take."""
    async with World() as world:
        world.update = FakeUpdate(takes_s=86_400)
        world.start()
        host = await world.online()
        await world.hub.request(host.id, "self_update", ORDER)
        await asyncio.sleep(1600)
        assert world.timeline() == [
            *FIRST,
            (1.0, "UpdateRequested", "updating"),
            (1501.0, "DeadlinePassed", "connected"),
        ]


async def test_a_second_update_meanwhile() -> None:
    """One at a time: the second moves nothing."""
    async with World(poll_s=None) as world:
        world.update = update = FakeUpdate(takes_s=50)
        world.start()
        host = await world.online()
        await world.hub.request(host.id, "self_update", ORDER)
        await world.hub.request(host.id, "self_update", {**ORDER, "version": "3.2.0"})
        await asyncio.sleep(10)
        assert [request.version for request in update.followed] == ["3.1.0"]
        assert world.timeline()[2:] == [
            (1.0, "UpdateRequested", "updating"),
            (1.0, "UpdateRequested", "updating"),
        ]


async def test_where_nothing_can_be_updated() -> None:
    """The command is refused with what to do by hand, and the capability was reported false."""
    async with World(poll_s=None) as world:
        world.start()
        host = await world.online()
        with pytest.raises(RequestFailed, match="pull its new image"):
            await world.hub.request(host.id, "self_update", ORDER)
        assert REASON.startswith("this agent does not update itself")
        assert host.registration["capabilities"]["self_update"] is False
        assert world.timeline() == FIRST
