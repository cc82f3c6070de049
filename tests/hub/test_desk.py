"""What a click in the UI does to an agent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hub.scripted_agent import ScriptedAgent, joined

from agent.hub.answers import Answer
from agent.hub.server import Hub

WEB = {"container_id": "9ab3c1d2e4f5"}


async def click(
    hub: Hub, host_id: str, agent: ScriptedAgent, name: str, *replies: dict[str, Any]
) -> tuple[Answer, list[str]]:
    """The answer, and what the agent was asked while it gave these replies."""

    async def reply() -> list[str]:
        requests = [await agent.answer(**fields) for fields in replies]
        return [r.get("command") or r["payload"]["action"] for r in requests]

    return await asyncio.gather(hub.ask(host_id, name, WEB), reply())


async def test_an_answer(hub: Hub) -> None:
    """A result, an error and silence, as the UI shows them."""
    async with joined(hub) as (agent, host):
        answer, _ = await click(hub, host.id, agent, "delete_volume", {"payload": {"message": "x"}})
        assert answer == Answer(200, {"message": "x"})
        answer, _ = await click(hub, host.id, agent, "delete_volume", {"error": "in use by web"})
        assert answer == Answer(409, detail="in use by web")
        answer = await hub.ask(host.id, "inspect", WEB)
        assert answer == Answer(504, detail="Command timed out after 15 s")
    assert hub.complaints == []


async def test_odd_results_are_complained_about(hub: Hub) -> None:
    """With the name of the request before what is wrong."""
    async with joined(hub) as (agent, host):
        await click(hub, host.id, agent, "list_volumes", {"payload": None})
    assert hub.complaints == [
        (host.id, "list_volumes: the server fails on it: a list was expected, not NoneType")
    ]


async def test_a_listing_of_containers_is_kept(hub: Hub) -> None:
    """As if a poll had brought it; the odd one out is skipped and counted."""
    async with joined(hub) as (agent, host):
        listed = {"payload": [{"Id": "9ab3c1d2e4f5"}, {"Id": "short"}]}
        await click(hub, host.id, agent, "list_containers", listed)
    assert (host.containers, host.skipped_containers) == ([{"Id": "9ab3c1d2e4f5"}], 1)
    assert host.listed_at is not None


async def test_the_name_at_first_sight(hub: Hub) -> None:
    """It is kept for good: what a container is called later brings no settings back to it."""
    async with joined(hub) as (agent, host):
        for name in (["/web-update"], ["/web"], None):
            listed = {"payload": [{"Id": "9ab3c1d2e4f5" + "0" * 52, "Names": name}]}
            await click(hub, host.id, agent, "list_containers", listed)
        assert host.first_names == {"9ab3c1d2e4f5": "web-update"}


@pytest.mark.parametrize(
    ("container", "asked"),
    [
        ({"Name": "/web"}, ["inspect", "stop"]),
        ({"Name": "/dockmonitor"}, ["inspect", "stop"]),
        ({"Name": None, "Config": {"Labels": None}}, ["inspect", "stop"]),
        (None, ["inspect", "stop"]),
        ({"Name": "/DockMon"}, ["inspect"]),
        ({"Name": "/dockmon-agent"}, ["inspect"]),
        ({"Name": "/web", "Config": {"Labels": {"app": "dockmon"}}}, ["inspect"]),
    ],
)
async def test_the_servers_own_containers(hub: Hub, container: Any, asked: list[str]) -> None:
    """An inspect goes before a stop: its own are left alone, and what it cannot read is not its own."""
    async with joined(hub) as (agent, host):
        replies = [{"success": True, "container": container}, {"success": True}][: len(asked)]
        answer, heard = await click(hub, host.id, agent, "stop", *replies)
    assert heard == asked
    assert answer.status == (200 if "stop" in asked else 403)


async def test_a_bad_container_costs_two_failures(hub: Hub) -> None:
    """The inspect fails first, and the stop is sent all the same."""
    async with joined(hub) as (agent, host):
        failing = {"success": False, "error": "No such container"}
        answer, heard = await click(hub, host.id, agent, "stop", failing, failing)
        assert (answer.status, answer.detail) == (500, "No such container")
        assert heard == ["inspect", "stop"]
        answer, heard = await click(hub, host.id, agent, "start", {"success": True})
        assert (answer.status, heard) == (200, ["start"])
