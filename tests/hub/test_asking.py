"""Requests and polls: what the server asks, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hub.scripted_agent import ScriptedAgent, answering, joined

from agent.hub.host import Host
from agent.hub.replies import RequestFailed
from agent.hub.server import Hub


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Hub(poll_s=None) as hub:
        yield hub


def now() -> float:
    return asyncio.get_running_loop().time()


async def failure(hub: Hub, host: Host, name: str, **given: Any) -> RequestFailed:
    with pytest.raises(RequestFailed) as failed:
        await hub.request(host.id, name, **given)
    return failed.value


async def ask(hub: Hub, host: Host, agent: ScriptedAgent, **reply: Any) -> Any:
    """The result of a request that is answered with `reply`."""
    result, _ = await asyncio.gather(hub.request(host.id, "list_images"), agent.answer(**reply))
    return result


async def test_a_request_and_its_result(hub: Hub) -> None:
    """An operation travels as one, and its flat reply is the result."""
    async with joined(hub) as (agent, host):
        asking = asyncio.gather(
            hub.request(
                host.id, "stop", {"container_id": "9ab3c1d2e4f5", "timeout": 10}, id="c0ffee"
            ),
            agent.answer(success=True, status="stopped"),
        )
        result, request = await asking
    assert request == {
        "type": "container_operation",
        "payload": {"action": "stop", "container_id": "9ab3c1d2e4f5", "timeout": 10},
        "id": "c0ffee",
        "correlation_id": "c0ffee",
    }
    assert result == {"correlation_id": "c0ffee", "success": True, "status": "stopped"}


async def test_a_name_of_both_kinds(hub: Hub) -> None:
    """It is a command, unless asked otherwise."""
    async with joined(hub) as (agent, host):
        asking = hub.request(host.id, "list_networks", kind="container_operation")
        _, request = await asyncio.gather(asking, agent.answer(success=True, networks=[]))
    assert request["payload"] == {"action": "list_networks"}


async def test_an_error_reply(hub: Hub) -> None:
    """Text and class of the error reach whoever asked."""
    async with joined(hub) as (agent, host):
        asking = asyncio.gather(
            failure(hub, host, "start", payload={"container_id": "4f1c"}),
            agent.answer(success=False, error="No such container: 4f1c"),
        )
        failed, _ = await asking
    assert (failed.text, failed.error_type) == ("No such container: 4f1c", "agent_error")


async def test_replies_in_any_order(hub: Hub) -> None:
    """They are matched by id; unknown ids and second answers are ignored."""
    async with joined(hub) as (agent, host):
        asking = asyncio.gather(*(hub.request(host.id, "inspect", {}, id=i) for i in "abc"))
        assert [(await agent.hear())["id"] for _ in "abc"] == ["a", "b", "c"]
        for request_id in ["c", "x", "a", "c", None, ["b"], "b"]:
            await agent.say({"correlation_id": request_id, "payload": request_id})
        assert await asking == ["a", "b", "c"]


async def test_one_id_is_asked_once_at_a_time(hub: Hub) -> None:
    """A second request under an id that still waits is a mistake of the test."""
    async with joined(hub) as (agent, host):
        asking = asyncio.gather(hub.request(host.id, "inspect", {}, id="a"))
        await agent.hear()
        with pytest.raises(ValueError, match="already in flight"):
            await hub.request(host.id, "inspect", {}, id="a")
        await agent.say({"correlation_id": "a", "payload": 1})
        assert (await asking)[0] == 1


async def test_no_reply_in_time(hub: Hub) -> None:
    """Each request has its own patience, which a test can shorten."""
    async with joined(hub) as (_, host):
        failed = await failure(hub, host, "inspect")
        assert failed.error_type == "timeout"
        assert now() == pytest.approx(15)
        await failure(hub, host, "inspect", timeout_s=1)
        assert now() == pytest.approx(16)
        await failure(hub, host, "stop", payload={"timeout": 30})
        assert now() == pytest.approx(66)


async def test_a_reply_over_the_next_connection(hub: Hub) -> None:
    """A disconnect fails nothing: whichever socket brings the reply in time is good."""
    async with joined(hub) as (agent, host):
        asking = asyncio.gather(hub.request(host.id, "update_container", {"container_id": "9ab3"}))
        request = await agent.hear()
    await asyncio.sleep(100)
    async with joined(hub, host.agent_id) as (agent, _):
        await agent.say({"type": "response", "id": request["id"], "payload": {"status": "ok"}})
        assert (await asking)[0] == {"status": "ok"}


async def test_nobody_to_ask(hub: Hub) -> None:
    """Offline and deleted hosts fail at once."""
    async with joined(hub) as (agent, host):
        await agent.socket.close()
        await asyncio.sleep(1)
        assert (await failure(hub, host, "inspect")).error_type == "offline"
        hub.delete_host(host.id)
        assert (await failure(hub, host, "inspect")).error_type == "unknown_host"


async def test_the_circuit_breaker(hub: Hub) -> None:
    """Five failures: nothing is sent for half a minute, then two successes close it."""
    async with joined(hub) as (agent, host):
        for _ in range(5):
            await asyncio.gather(
                failure(hub, host, "inspect"), agent.answer(error="no", success=False)
            )
        assert (await failure(hub, host, "list_images")).error_type == "circuit_open"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(agent.socket.recv(), 29)
        assert (await failure(hub, host, "list_images")).error_type == "circuit_open"
        await asyncio.sleep(1)
        for _ in range(2):
            assert await ask(hub, host, agent, payload=[]) == []
        await asyncio.gather(failure(hub, host, "inspect"), agent.answer(error="no", success=False))
        assert await ask(hub, host, agent, payload=[]) == []


# Polling


CONTAINER = {"Id": "9ab3c1d2e4f5", "Names": ["/web"]}


async def polls(agent: ScriptedAgent, seconds: float) -> list[float]:
    """When the server asked for the containers meanwhile; it always gets one."""
    at: list[float] = []

    def answer(request: dict[str, Any]) -> Any:
        assert request.keys() == {"type", "command", "id", "correlation_id"}
        assert request["command"] == "list_containers"
        at.append(round(now(), 3))
        return [CONTAINER]

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(answering(agent, answer), seconds)
    return at


@pytest.mark.parametrize(
    ("period_s", "expected"),
    [(10, [10, 20, 30]), (2, [2, 8, 14, 20, 26, 32]), (60, []), (None, [])],
)
async def test_the_polling_loop(period_s: float | None, expected: list[float]) -> None:
    """It asks each host for its containers, at most every five seconds, and for nothing else."""
    async with Hub(poll_s=period_s) as hub, joined(hub) as (agent, host):
        assert await polls(agent, 33) == pytest.approx(expected, abs=0.1)
        if expected:
            assert (host.containers, host.skipped_containers) == ([CONTAINER], 0)
            listed_at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=expected[-1])
            assert host.listed_at == pytest.approx(listed_at, abs=timedelta(seconds=0.1))


async def test_a_slow_host_delays_the_others() -> None:
    """Hosts are polled one after another, each for up to half a minute."""
    async with (
        Hub(poll_s=10) as hub,
        joined(hub, engine_id="slow") as (slow, slow_host),
        joined(hub, engine_id="quick") as (quick, quick_host),
    ):
        assert await polls(quick, 55) == pytest.approx([40], abs=0.1)
        assert (slow_host.online, slow_host.error) == (False, "Command timed out after 30 s")
        assert (quick_host.online, quick_host.error) == (True, None)
        assert (await slow.hear())["command"] == "list_containers"


async def test_a_failed_poll_shows_the_host_offline() -> None:
    """With the agent's own words, until a poll succeeds again; the agent stays connected."""
    async with Hub(poll_s=10) as hub, joined(hub) as (agent, host):
        await agent.answer(success=False, error="the engine does not answer")
        await agent.hear()
        assert (host.online, host.error) == (False, "the engine does not answer")
        assert host.link is not None
        waiting = asyncio.gather(hub.host_online(timeout_s=60))
        await agent.answer(payload=[CONTAINER])
        assert (await waiting)[0] is host
        assert (host.online, host.error) == (True, None)


async def test_only_connected_hosts_are_polled() -> None:
    """An agent that was away for long finds its circuit closed."""
    async with Hub(poll_s=10) as hub:
        async with joined(hub) as (_, host):
            pass
        await asyncio.sleep(600)
        async with joined(hub, host.agent_id) as (agent, _):
            assert len(await polls(agent, 65)) == 6
