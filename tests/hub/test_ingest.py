"""The second socket, which feeds the history."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hub.scripted_agent import ScriptedAgent, joined
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agent.hub.history import IngestSample, read_sample
from agent.hub.ingest import INGEST_PATH
from agent.hub.server import Hub
from agent.hub.shapes import Dropped

WEB = "9ab3c1d2e4f5"


@asynccontextmanager
async def feeding(hub: Hub, token: str, *, in_query: bool = False) -> AsyncIterator[ScriptedAgent]:
    path = INGEST_PATH + (f"?token={token}" if in_query else "")
    headers = {} if in_query else {"Authorization": f"Bearer {token}"}
    async with connect(
        hub.url + path, additional_headers=headers, ping_interval=None, proxy=None
    ) as socket:
        yield ScriptedAgent(socket)


async def refused(hub: Hub, token: str) -> int:
    with pytest.raises(InvalidStatus) as failed:
        async with feeding(hub, token):
            raise AssertionError("the upgrade should have been refused")
    return failed.value.response.status_code


# One message


def test_the_least_that_decodes() -> None:
    """What is missing or null is nothing; keys that nobody knows do no harm."""
    assert read_sample("{}") == IngestSample()
    assert read_sample(b'{"container_id": null, "host_id": 7, "disk_read": null}') == IngestSample()


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        "null",
        '{"memory_usage": 12.0}',
        '{"memory_usage": 1e3}',
        '{"network_rx": -1}',
        '{"network_tx": "12"}',
        '{"disk_read": true}',
        '{"disk_write": 18446744073709551616}',
        '{"cpu_percent": NaN}',
        '{"cpu_percent": "7"}',
        '{"container_id": 7}',
        '{"a":' * 100_000,
    ],
    ids=lambda message: message[:30],
)
def test_what_does_not_decode(message: str) -> None:
    """Counters are unsigned integers, as written."""
    with pytest.raises(Dropped):
        read_sample(message)


# The way in


@pytest.mark.parametrize("in_query", [False, True])
async def test_the_permanent_token_lets_in(hub: Hub, in_query: bool) -> None:
    """In a header or in the query; the host is the token's, its main socket need not be there."""
    async with joined(hub) as (_, host):
        pass
    async with feeding(hub, host.agent_id, in_query=in_query) as agent:
        await agent.say({"container_id": WEB + "0" * 52, "host_id": "another", "disk_read": 7})
        await agent.heard()
        [point] = hub.history.of(host.id, WEB)
        assert point.sample.disk_read == 7
        assert host.stats_link is not None
    assert hub.complaints == []


async def test_any_other_token_does_not(hub: Hub) -> None:
    """Nor does none at all, nor one for the registration."""
    assert [await refused(hub, token) for token in ("who", "", hub.new_token())] == [401] * 3


async def test_a_token_is_remembered(hub: Hub) -> None:
    """For five minutes after the host was deleted."""
    async with joined(hub) as (_, host):
        pass
    async with feeding(hub, host.agent_id):
        pass
    hub.delete_host(host.id)
    await asyncio.sleep(299)
    async with feeding(hub, host.agent_id):
        pass
    await asyncio.sleep(1)
    assert await refused(hub, host.agent_id) == 401


@pytest.mark.parametrize("status", [404, 500])
async def test_a_server_without_a_history(hub: Hub, status: int) -> None:
    """It refuses the second socket, and the first one is as it was."""
    hub.faults.refuse_stats(status)
    async with joined(hub) as (_, host):
        assert await refused(hub, host.agent_id) == status
        hub.faults.heal()
        async with feeding(hub, host.agent_id):
            assert host.stats_link is not None
            assert host.online


# What comes in


async def test_fresh_and_stale(hub: Hub) -> None:
    """The newest sample of a container is good for half a minute."""
    async with joined(hub) as (_, host), feeding(hub, host.agent_id) as agent:
        for disk_read in (1, 2):
            await agent.say({"container_id": WEB, "disk_read": disk_read})
        await agent.heard()
        assert [point.sample.disk_read for point in hub.history.of(host.id, WEB)] == [1, 2]
        await asyncio.sleep(29.9)
        assert hub.history.fresh(host.id)[WEB].sample.disk_read == 2
        await asyncio.sleep(0.2)
        assert hub.history.fresh(host.id) == {}


async def test_a_sample_of_nobody(hub: Hub) -> None:
    """It is skipped; the socket stays."""
    async with joined(hub) as (_, host), feeding(hub, host.agent_id) as agent:
        await agent.say({"container_id": ""})
        await agent.say({"container_id": WEB})
        await agent.heard()
        assert list(hub.history.fresh(host.id)) == [WEB]
    assert hub.complaints == [(host.id, "stats socket: a sample without its container_id")]


@pytest.mark.parametrize("fields", [{"memory_usage": 12.0}, {"network_rx": -1}])
async def test_a_sample_that_does_not_decode(hub: Hub, fields: dict[str, Any]) -> None:
    """The socket is dropped without a goodbye."""
    async with joined(hub) as (_, host), feeding(hub, host.agent_id) as agent:
        await agent.say({"container_id": WEB, **fields})
        assert await agent.end() == (1006, "")
        assert (host.stats_link, host.online) == (None, True)
    [(host_id, text)] = hub.complaints
    assert (host_id, text.partition(":")[0]) == (host.id, "stats socket")


async def test_sixteen_kibibytes_are_the_limit(hub: Hub) -> None:
    """One byte more ends the socket."""
    around = len(json.dumps({"container_id": WEB, "x": ""}))
    async with joined(hub) as (_, host), feeding(hub, host.agent_id) as agent:
        await agent.say({"container_id": WEB, "x": "x" * (16_384 - around)})
        await agent.heard()
        assert hub.complaints == []
        await agent.say({"container_id": WEB, "x": "x" * (16_385 - around)})
        assert (await agent.end())[0] == 1009
    assert hub.complaints == [(host.id, "stats socket: a frame over 16384 bytes")]


async def test_the_server_only_listens(hub: Hub) -> None:
    """It sends no pings: one that cannot be heard any more is never missed."""
    async with joined(hub) as (_, host), feeding(hub, host.agent_id) as agent:
        agent.socket.transport.pause_reading()
        await asyncio.sleep(3600)
        assert host.stats_link is not None
        agent.socket.transport.resume_reading()
        await agent.heard()


async def test_faults_of_the_second_socket(hub: Hub) -> None:
    """It can be held and cut by itself."""
    async with joined(hub) as (main, host), feeding(hub, host.agent_id) as agent:
        hub.faults.stop_reading(host, on="stats")
        await main.heard()
        await agent.say({"container_id": WEB})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await agent.heard()
        assert hub.history.of(host.id, WEB) == []
        hub.faults.heal()
        await agent.heard()
        assert len(hub.history.of(host.id, WEB)) == 1
        hub.faults.cut(host, on="stats")
        assert await agent.end() == (1006, "")
        await main.heard()
        with pytest.raises(LookupError):
            hub.faults.cut(host, on="stats")
