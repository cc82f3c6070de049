"""The reference server as a program."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import pytest
from hub.prompt_desk import Desk
from hub.scripted_agent import ScriptedAgent, joined

from agent.hub.cli import HELP, serve
from agent.hub.host import Host
from agent.hub.server import Hub


@pytest.fixture
async def desk(hub: Hub) -> AsyncIterator[Desk]:
    desk = Desk(hub)
    async with desk.prompt:
        yield desk


@pytest.fixture
async def here(hub: Hub) -> AsyncIterator[tuple[ScriptedAgent, Host]]:
    async with joined(hub, hostname="rack7") as (agent, host):
        host.containers = [
            {"Id": "9ab3c1d2e4f5" * 5, "Names": ["/web"], "State": "running", "Image": "nginx"}
        ]
        yield agent, host


async def lines(*typed: str) -> AsyncIterator[str]:
    for line in typed:
        yield line


async def test_serve() -> None:
    """It says where to connect and with what, obeys, and ends with `quit` or the input."""
    out = io.StringIO()
    await serve("127.0.0.1", 0, "fixed-token", None, out, lines("hosts", "token", "quit", "help"))
    said = out.getvalue()
    assert "DOCKMON_URL=ws://127.0.0.1:" in said
    assert "REGISTRATION_TOKEN=fixed-token" in said
    assert HELP not in said


async def test_a_fresh_token(hub: Hub, desk: Desk) -> None:
    """Without a token of one's own the first is made; an agent can use it as it stands there."""
    desk.prompt.greet(None)
    said = desk.read()
    [token] = [line.partition("=")[2] for line in said if "REGISTRATION_TOKEN=" in line]
    async with joined(hub, token) as (_, host):
        assert host.online


async def test_a_token_of_ones_own(hub: Hub, desk: Desk) -> None:
    """It is good for many agents, and never expires."""
    desk.prompt.greet("mine")
    await asyncio.sleep(86_400)
    async with joined(hub, "mine", engine_id="a"), joined(hub, "mine", engine_id="b"):
        assert len(hub.hosts) == 2


async def test_more_tokens(hub: Hub, desk: Desk) -> None:
    """For one agent or for many."""
    [multi] = await desk.type("token multi")
    async with joined(hub, multi, engine_id="a"), joined(hub, multi, engine_id="b"):
        [single] = await desk.type("token")
        async with joined(hub, single, engine_id="c"):
            assert len(hub.hosts) == 3


async def test_hosts_and_containers(desk: Desk, here: tuple[ScriptedAgent, Host]) -> None:
    """Who is there, and what the last poll brought."""
    _, host = here
    [line] = await desk.type("hosts")
    assert line.startswith("@rack7  online  connections: 1  containers: 1 (listed never)")
    assert await desk.type("containers") == ["9ab3c1d2e4f5  running     web  nginx"]
    assert await desk.type(f"containers @{host.id}") == await desk.type("containers @rack7")


@pytest.mark.parametrize(
    ("line", "name", "payload"),
    [
        ("send list_images", "list_images", {}),
        ("send @rack7 list_images", "list_images", {}),
        (
            'send remove_image  {"image_id": "a b", "force": true}',
            "remove_image",
            {"image_id": "a b", "force": True},
        ),
    ],
)
async def test_send(
    desk: Desk, here: tuple[ScriptedAgent, Host], line: str, name: str, payload: object
) -> None:
    """Any request, with its payload as JSON; the result is printed as JSON."""
    agent, _ = here
    said, request = await asyncio.gather(desk.type(line), agent.answer(payload=[{"name": "Zoë"}]))
    assert (request["command"], request["payload"]) == (name, payload)
    assert said == ['[{"name":"Zoë"}]']


async def test_send_fails(desk: Desk, here: tuple[ScriptedAgent, Host]) -> None:
    """The text of the error is printed."""
    agent, _ = here
    failing = agent.answer(success=False, error="No such container")
    said, _ = await asyncio.gather(desk.type('send start {"container_id": "x"}'), failing)
    assert said == ["failed (agent_error): No such container"]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("frobnicate", "frobnicate? `help` lists what can be typed here"),
        ("send", "send what? e.g. `send list_images`"),
        ("send inspect {", "the payload is no JSON: Expecting property name"),
        ("send inspect []", "the payload is no JSON object"),
        ("send @nobody inspect", "no host is called nobody; `hosts` lists them"),
        ("events many", "many is no number"),
        ("restart -1", "-1 is out of range"),
        ("restart nan", "nan is out of range"),
        ("help", HELP.splitlines()[0]),
    ],
)
@pytest.mark.usefixtures("here")
async def test_what_cannot_be_obeyed(desk: Desk, line: str, answer: str) -> None:
    """A mistake is answered with what is wrong, and nothing ends."""
    assert (await desk.type(line))[0].startswith(answer)


async def test_nobody_there(desk: Desk) -> None:
    """Before the first agent there is nobody to send to; an empty line says nothing."""
    assert await desk.type("send list_images") == ["no host is registered"]
    assert await desk.type("hosts") == ["none"]
    assert await desk.type("  ") == []


async def test_it_tells_what_happens(
    hub: Hub, desk: Desk, here: tuple[ScriptedAgent, Host]
) -> None:
    """Who comes, who is refused and what containers do; the rest is for those who ask."""
    agent, host = here
    hub.listen(desk.prompt.narrate)
    for action, exit_code in [("start", "0"), ("pause", "0"), ("die", "137"), ("destroy", "0")]:
        payload = {
            "container_id": "9ab3c1d2e4f5",
            "container_name": "web",
            "action": action,
            "attributes": {"exitCode": exit_code},
        }
        await agent.say({"type": "event", "command": "container_event", "payload": payload})
    await agent.say({"type": "heartbeat"})
    await hub.wait_for(lambda entry: entry.frame["type"] == "heartbeat", timeout_s=1)
    async with joined(hub, host.agent_id):
        pass
    with pytest.raises(AssertionError):
        async with joined(hub, "who-knows"):
            pass
    assert desk.read() == [
        "* rack7: web started",
        "* rack7: web died with exit code 137",
        "* rack7: web deleted",
        "* rack7 connected",
        "* refused: Invalid registration token",
    ]
    assert await desk.type("events") == [
        "9ab3c1d2e4f5  web  started",
        "9ab3c1d2e4f5  web  died",
        "9ab3c1d2e4f5  web  deleted",
    ]
    assert await desk.type("events @rack7 1") == ["9ab3c1d2e4f5  web  deleted"]


async def test_cut_delete_restart(hub: Hub, desk: Desk, here: tuple[ScriptedAgent, Host]) -> None:
    """The three ways to be rid of an agent."""
    agent, host = here
    assert await desk.type("cut") == []
    assert await agent.end() == (1006, "")
    assert await desk.type("cut") == ["rack7 is not connected"]
    async with joined(hub, host.agent_id) as (agent, _):
        said, end = await asyncio.gather(desk.type("restart 30"), agent.end())
        assert said == ["* away for 30 s", "* back"]
        assert end == (1012, "")
    await desk.type("delete @rack7")
    assert hub.hosts == {}
