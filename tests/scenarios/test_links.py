"""The ways a link can fail, one timeline each: noticed in time, told as what it is, and overcome."""

from __future__ import annotations

import asyncio
import random

from scenarios.world import World

from agent.core.failures import FailureKind
from agent.core.lifecycle import AttemptFailed, LinkLost

FIRST = [(0.0, "EngineKnown", "registering"), (0.0, "Registered", "connected")]


def causes(world: World) -> list[FailureKind]:
    """What ended each session or attempt."""
    return [
        move.event.failure.kind
        for move in world.moves
        if isinstance(move.event, AttemptFailed | LinkLost)
    ]


async def test_a_stalled_handshake() -> None:
    """A server that takes connections and says nothing costs 20 s an attempt, then the agent is in."""
    async with World() as world:
        world.hub.faults.stall_handshake(3600)
        world.start()
        await asyncio.sleep(60)
        world.hub.faults.heal()
        await world.online()
        assert set(causes(world)) == {FailureKind.TIMEOUT}
        assert world.timeline() == [
            (0.0, "EngineKnown", "registering"),
            (20.0, "AttemptFailed", "backoff"),
            (20.363, "RetryDue", "registering"),
            (40.363, "AttemptFailed", "backoff"),
            (41.752, "RetryDue", "registering"),
            (61.752, "AttemptFailed", "backoff"),
            (64.012, "RetryDue", "registering"),
            (64.012, "Registered", "connected"),
        ]


async def test_a_half_open_link() -> None:
    """The other end is gone without a word: the ping after next is not answered, and 40 s are the most it takes."""
    async with World(poll_s=None) as world:
        world.start()
        host = await world.online()
        await asyncio.sleep(30)
        world.hub.faults.mute(host)
        await asyncio.sleep(60)
        assert causes(world) == [FailureKind.SILENT]
        assert world.timeline() == [
            *FIRST,
            (60.0, "LinkLost", "backoff"),
            (60.738, "RetryDue", "registering"),
            (60.738, "Registered", "connected"),
        ]


async def test_a_peer_that_stops_reading_in_mid_reply() -> None:
    """A large reply gets stuck half-way: 10 s without progress end the link, and the reply goes out over the next."""
    async with World(poll_s=None) as world:
        box = world.engine.add("web", running=True)
        noise = random.Random(1).randbytes(4_000_000).hex()
        world.engine.boxes[box].config["Labels"] = {"noise": noise}
        world.start()
        host = await world.online()
        world.hub.faults.stop_reading(host)
        asked = asyncio.get_running_loop().create_task(
            world.hub.request(host.id, "inspect", {"container_id": box[:12]}, 60.0)
        )
        answer = await asked
        assert answer["container"]["Config"]["Labels"]["noise"] == noise
        assert causes(world) == [FailureKind.SILENT]
        assert world.timeline() == [
            *FIRST,
            (11.0, "LinkLost", "backoff"),
            (11.363, "RetryDue", "registering"),
            (11.363, "Registered", "connected"),
        ]


async def test_a_slow_line() -> None:
    """A reply that takes minutes costs no connection: pongs get in between, on both sides."""
    async with World(poll_s=None) as world:
        box = world.engine.add("web", running=True)
        world.engine.boxes[box].config["Labels"] = {"noise": "x" * 12_000_000}
        world.start()
        host = await world.online()
        world.hub.faults.throttle(host, 200_000)
        await world.hub.request(host.id, "inspect", {"container_id": box[:12]}, 120.0)
        assert causes(world) == []
        assert host.connections == 1


async def test_a_server_restart() -> None:
    """1012: the server says that it restarts; the agent is back within seconds of its return."""
    async with World() as world:
        world.start()
        host = await world.online()
        await asyncio.sleep(100)
        await world.hub.stop_listening()
        await asyncio.sleep(20)
        await world.hub.start_listening()
        await world.until("connected")
        assert causes(world)[0] is FailureKind.CLOSED
        assert host.connections == 2
        assert world.timeline() == [
            *FIRST,
            (101.0, "LinkLost", "backoff"),
            (101.738, "RetryDue", "registering"),
            (101.738, "AttemptFailed", "backoff"),
            (102.115, "RetryDue", "registering"),
            (102.115, "AttemptFailed", "backoff"),
            (104.375, "RetryDue", "registering"),
            (104.375, "AttemptFailed", "backoff"),
            (107.459, "RetryDue", "registering"),
            (107.459, "AttemptFailed", "backoff"),
            (108.622, "RetryDue", "registering"),
            (108.622, "AttemptFailed", "backoff"),
            (124.983, "RetryDue", "registering"),
            (124.983, "Registered", "connected"),
        ]


async def test_a_forgetful_server() -> None:
    """A host deleted on the server: nothing is asked any more, and after five minutes the agent looks again."""
    async with World() as world:
        world.start()
        host = await world.online()
        await asyncio.sleep(100)
        world.hub.delete_host(host.id)
        await asyncio.sleep(400)
        assert world.timeline() == [
            *FIRST,
            (400.0, "ServerSilent", "backoff"),
            (400.631, "RetryDue", "registering"),
            (400.631, "Refused", "unregistered"),
        ]


async def test_an_eviction_by_a_twin() -> None:
    """Two agents on one token: whoever is thrown out comes back seldom, and more seldom each time."""
    async with World() as world, World() as twin:
        world.start()
        await world.online()
        twin.hub, twin.engine = world.hub, world.engine
        twin.store.saved = await world.store.identity()
        await asyncio.sleep(30)
        twin.start()
        await asyncio.sleep(3600)
        assert world.timeline()[:8] == [
            *FIRST,
            (31.0, "Evicted", "backoff"),
            (40.263, "RetryDue", "registering"),
            (40.263, "Registered", "connected"),
            (49.526, "Evicted", "backoff"),
            (127.725, "RetryDue", "registering"),
            (127.725, "Registered", "connected"),
        ]
        evicted_at_s = [at_s for at_s, event, _ in world.timeline() if event == "Evicted"]
        assert (
            len(evicted_at_s) == 10
        )  # in an hour; in the first five minutes five, in the last ten one
        assert evicted_at_s[-1] == 3097.151


async def test_a_token_that_outlives_an_outage() -> None:
    """The server is away for a minute before the first registration: the token is spent on the first success."""
    async with World() as world:
        await world.hub.stop_listening()
        world.start()
        await asyncio.sleep(60)
        await world.hub.start_listening()
        await world.online()
        assert [line for line in world.timeline() if line[2] != "backoff"] == [
            (0.0, "EngineKnown", "registering"),
            (0.493, "RetryDue", "registering"),
            (1.007, "RetryDue", "registering"),
            (1.529, "RetryDue", "registering"),
            (5.932, "RetryDue", "registering"),
            (11.942, "RetryDue", "registering"),
            (14.033, "RetryDue", "registering"),
            (44.602, "RetryDue", "registering"),
            (47.092, "RetryDue", "registering"),
            (73.252, "RetryDue", "registering"),
            (73.252, "Registered", "connected"),
        ]
        assert set(causes(world)) == {FailureKind.TCP}


async def test_a_token_that_expires_during_an_outage() -> None:
    """It is refused for good when the server is back; a new one in its place is noticed within ten seconds."""
    async with World() as world:
        await world.hub.stop_listening()
        world.start()
        await asyncio.sleep(1200)
        await world.hub.start_listening()
        await asyncio.sleep(120)
        world.tokens.registration_token = world.hub.new_token()
        await world.online()
        assert world.timeline()[-3:] == [
            (1210.032, "Refused", "unregistered"),
            (1320.032, "CredentialsChanged", "registering"),
            (1320.032, "Registered", "connected"),
        ]
        world.assert_told("a-token-that-expires")
