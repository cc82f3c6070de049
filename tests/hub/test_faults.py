"""What a test can do to the way between server and agent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from hub.scripted_agent import dial, joined
from websockets.exceptions import InvalidStatus

from agent.hub.server import Hub


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Hub(poll_s=10) as hub:
        yield hub


def incompressible(size_bytes: int) -> str:
    """Text that deflate makes that big."""
    return random.Random(7).randbytes(size_bytes).hex()


async def test_cut(hub: Hub) -> None:
    """The agent sees a reset, not a close."""
    async with joined(hub) as (agent, host):
        hub.faults.cut(host.id)
        assert await agent.end() == (1006, "")
    assert not host.online
    with pytest.raises(LookupError):
        hub.faults.cut(host)


async def test_stop_reading(hub: Hub) -> None:
    """The agent's pings stay unanswered while the server's frames still come."""
    async with joined(hub) as (agent, host):
        hub.faults.stop_reading(host)
        pong = await agent.socket.ping()
        await hub.send(host.id, {"type": "news"})
        assert await agent.hear() == {"type": "news"}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(pong), 9)
        hub.faults.heal()
        await asyncio.wait_for(pong, 1)


async def test_stop_reading_fills_the_agents_buffers(hub: Hub) -> None:
    """Whoever goes on writing is stuck in the end, although its socket is open."""
    async with joined(hub) as (agent, host):
        hub.faults.stop_reading(host)

        async def pour() -> None:
            while True:
                await agent.say({"type": "stats", "x": incompressible(2**20)})

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pour(), 9)
        assert host.online
        agent.socket.transport.abort()


async def test_mute(hub: Hub) -> None:
    """The server hears the agent and cannot be heard: neither pongs nor the end get through."""
    async with joined(hub) as (agent, host):
        hub.faults.mute(host.id)
        pong = await agent.socket.ping()
        await agent.say({"type": "heartbeat"})
        await hub.wait_for(lambda entry: entry.frame["type"] == "heartbeat", timeout_s=1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(agent.socket.recv(), 600)
        assert isinstance(pong, asyncio.Future)
        assert not pong.done()
        assert not host.online  # its pings were not answered; the agent knows nothing of it
        async with joined(hub, host.agent_id) as (second, _):
            await asyncio.wait_for(await second.socket.ping(), 1)
        agent.socket.transport.abort()


async def test_a_hub_ends_with_links_in_every_state() -> None:
    """Whatever was done to them, leaving the hub leaves nothing behind."""
    async with Hub(poll_s=None) as hub:
        hub.new_token(uses=None, value="many")
        async with (
            joined(hub, "many", engine_id="a") as (_, deaf),
            joined(hub, "many", engine_id="b") as (muted_agent, muted),
            joined(hub, "many", engine_id="c") as (lost_agent, lost),
            joined(hub, "many", engine_id="d") as (_, gone),
        ):
            hub.faults.mute(lost)
            await asyncio.sleep(120)
            assert not lost.online
            hub.faults.stop_reading(deaf)
            hub.faults.mute(muted)
            hub.delete_host(gone.id)
            hub.faults.stall_handshake(1)
            stalled = asyncio.gather(dial(hub).__aenter__(), return_exceptions=True)
            await asyncio.sleep(0.5)
            await hub.stop_listening()
            assert isinstance((await stalled)[0], Exception)
            assert [await agent.end() for agent in (muted_agent, lost_agent)] == [(1006, "")] * 2


async def test_throttle(hub: Hub) -> None:
    """Half a mebibyte at 64 KiB/s takes eight seconds, less what the last read brings at once."""
    async with joined(hub) as (agent, host):
        hub.faults.throttle(host, 65_536)
        await agent.say({"type": "stats", "x": incompressible(2**19)})
        entry = await hub.wait_for(lambda e: e.frame["type"] == "stats", timeout_s=60)
        assert 4 <= entry.at <= 8.1
        hub.faults.throttle(host, None)
        await agent.say({"type": "heartbeat"})
        await hub.wait_for(lambda e: e.frame["type"] == "heartbeat", timeout_s=10)


async def test_faults_add_up(hub: Hub) -> None:
    """A link that cannot be heard may be slow as well; one fault lifted leaves the others."""
    async with joined(hub) as (agent, host):
        hub.faults.mute(host)
        hub.faults.throttle(host, 65_536)
        hub.faults.stop_reading(host)
        await agent.say({"type": "stats", "x": incompressible(2**18)})
        await asyncio.sleep(5)
        assert [entry.frame["type"] for entry in hub.journal] == ["register", "auth_success"]
        hub.faults.heal()
        await hub.wait_for(lambda entry: entry.frame["type"] == "stats", timeout_s=5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(agent.socket.recv(), 5)
        agent.socket.transport.abort()


async def test_silent(hub: Hub) -> None:
    """Connected and alive, but never polled; the next connection is."""
    async with joined(hub) as (agent, host):
        hub.faults.silent(host.id)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(agent.hear(), 110)
        await asyncio.wait_for(await agent.socket.ping(), 1)
    async with joined(hub, host.agent_id) as (agent, _):
        assert (await agent.hear())["command"] == "list_containers"


async def test_stall_handshake(hub: Hub) -> None:
    """TCP connects, and then nothing, until the time is over."""
    hub.faults.stall_handshake(25)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10), dial(hub):
                raise AssertionError("the upgrade should have stalled")
    await asyncio.sleep(5)
    async with joined(hub) as (_, host):
        assert host.online


async def test_refuse_upgrade(hub: Hub) -> None:
    """As a proxy does whose server is away."""
    hub.faults.refuse_upgrade(502, "Bad Gateway")
    with pytest.raises(InvalidStatus) as refused:
        async with dial(hub):
            raise AssertionError("the upgrade should have been refused")
    assert refused.value.response.status_code == 502
    assert refused.value.response.body == b"Bad Gateway"
    hub.faults.heal()
    async with joined(hub) as (_, host):
        assert host.online
