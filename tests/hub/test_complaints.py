"""What a flawless agent gives no cause for, and what the host's event log shows of the rest."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hub.scripted_agent import dial, joined, register

from agent.hub.server import Hub

WEB = "9ab3c1d2e4f5"


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ({"type": "gossip"}, "'gossip' is nothing that the server knows"),
        ({"type": ["event"]}, "['event'] is nothing that the server knows"),
        ({}, "None is nothing that the server knows"),
        ({"type": "event", "command": "rumour"}, "'rumour' is nothing that the server knows"),
        ({"type": "response", "id": "x", "payload": 1}, "a reply to 'x', which was never asked"),
        ({"correlation_id": None}, "a reply to None, which was never asked"),
        (
            {"type": "event", "command": "update_complete", "correlation_id": "x"},
            "the event update_complete is taken for a reply",
        ),
        (
            {"type": "event", "command": "container_event", "payload": {"action": "start"}},
            "container_event: the container_id is too short",
        ),
        (
            {"type": "event", "command": "container_event"},
            "container_event: the payload is no object",
        ),
    ],
)
async def test_what_is_dropped(hub: Hub, frame: dict[str, Any], text: str) -> None:
    """The connection stays."""
    async with joined(hub) as (agent, host):
        await agent.say(frame)
        await agent.heard()
        assert hub.complaints == [(host.id, text)]
        assert host.online


async def test_what_has_its_effect_all_the_same(hub: Hub) -> None:
    """An event that is odd in what the server does not need."""
    async with joined(hub) as (agent, host):
        event = {"container_id": WEB, "container_name": "/web", "action": "start"}
        await agent.tell("container_event", **event)
        assert [event["effect"] for event in hub.events(host.id)] == ["started"]
        assert [text.partition(" S")[0] for _, text in hub.complaints] == [
            "container_event: container_name:"
        ]


async def test_what_ends_the_connection(hub: Hub) -> None:
    """Before a registration nobody's host is known."""
    async with dial(hub) as agent:
        await agent.socket.send("{")
        await agent.end()
    async with joined(hub) as (agent, host):
        await agent.socket.send("[]")
        await agent.end()
    async with joined(hub, host.agent_id) as (agent, _):
        await agent.socket.send("x" * (16 * 2**20 + 1))
        await agent.end()
    await asyncio.sleep(1)
    assert [(host_id, text.partition(":")[0]) for host_id, text in hub.complaints[:2]] == [
        (None, "a malformed frame"),
        (host.id, "a malformed frame"),
    ]
    assert [host_id for host_id, _ in hub.complaints[2:]] == [host.id]


async def test_a_registration_that_is_malformed(hub: Hub) -> None:
    """One that is merely refused is none."""
    for frame in (register("who-knows"), register(hub.new_token(), num_cpus=0)):
        async with dial(hub) as agent:
            await agent.say(frame)
            await agent.end()
    [(host_id, text)] = hub.complaints
    assert host_id is None
    assert text.startswith("Invalid registration data: ")


async def test_replies_that_come_too_late(hub: Hub) -> None:
    """They are ignored, and nobody's fault: even a second one."""
    async with joined(hub) as (agent, host):
        asking = asyncio.gather(hub.ask(host.id, "list_images"))
        request = await agent.hear()
        assert (await asking)[0].status == 504
        for _ in range(2):
            await agent.say({"correlation_id": request["id"], "payload": []})
        await agent.heard()
    assert hub.complaints == []


async def test_the_event_log(hub: Hub) -> None:
    """Coming and going, containers, and what the agent calls an error."""
    async with joined(hub, hostname="rack7") as (agent, host):
        event = {"container_id": WEB, "container_name": "web", "action": "destroy"}
        await agent.tell("container_event", **event)
        failure = {"error": "update of web failed", "details": "no space", "container_id": WEB}
        await agent.say({"type": "error", **failure})
        await agent.say({"type": "error", "error": "the engine is gone"})
        await agent.heard()
        await agent.socket.close()
        await asyncio.sleep(1)
    assert [(e.kind, e.text, e.container_id, e.failed) for e in hub.log(host.id)] == [
        ("host", "rack7 connected", None, False),
        ("container", "web deleted", WEB, False),
        ("error", "update of web failed: no space", WEB, True),
        ("error", "the engine is gone", None, True),
        ("host", "rack7 disconnected", None, True),
    ]
    assert hub.complaints == []
