"""What can be typed at the prompt for each thing that an agent can do."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hub.prompt_desk import Desk
from hub.scripted_agent import ScriptedAgent, joined

from agent.hub.cli import HELP
from agent.hub.host import Host
from agent.hub.server import Hub

WEB = "9ab3c1d2e4f5"
USERS = {"containers": [{"id": WEB, "name": "web"}], "container_count": 1}
CREATED = "2031-05-04T03:02:01Z"


@pytest.fixture
async def desk(hub: Hub) -> AsyncIterator[Desk]:
    desk = Desk(hub)
    async with desk.prompt:
        yield desk


@pytest.fixture
async def here(hub: Hub) -> AsyncIterator[tuple[ScriptedAgent, Host]]:
    async with joined(hub, hostname="rack7") as (agent, host):
        host.containers = [{"Id": WEB + "0" * 52, "Names": ["/web"], "Image": "nginx"}]
        yield agent, host


async def typed(
    desk: Desk, agent: ScriptedAgent, line: str, payload: Any
) -> tuple[list[str], dict[str, Any]]:
    """What was said, and the payload of the request that was answered with `payload`."""
    said, request = await asyncio.gather(desk.type(line), agent.answer(payload=payload))
    return said, request["payload"]


def test_everything_is_in_the_help(hub: Hub) -> None:
    """One line or two for each verb."""
    described = {line.split()[0] for line in HELP.splitlines() if line[0] != " "}
    assert set(Desk(hub).prompt.verbs) <= described | {"help"}


@pytest.mark.parametrize(
    ("line", "payload", "said"),
    [
        (
            "images",
            [
                {
                    "id": "0123456789ab",
                    "tags": ["nginx:1"],
                    "size": 3 * 2**20,
                    "created": CREATED,
                    "in_use": True,
                    "dangling": False,
                    **USERS,
                }
            ],
            ["0123456789ab       3.0 MiB  nginx:1  used by web"],
        ),
        (
            "networks @rack7",
            [
                {
                    "id": "0123456789ab",
                    "name": "front",
                    "driver": "bridge",
                    "scope": "local",
                    "created": CREATED,
                    "internal": False,
                    "subnet": "",
                    "is_builtin": False,
                    **USERS,
                }
            ],
            ["0123456789ab  front  (bridge, local, no subnet)  used by web"],
        ),
        (
            "volumes",
            [
                {
                    "name": "data",
                    "driver": "local",
                    "mountpoint": "/x",
                    "created": "",
                    "containers": [],
                    "container_count": 0,
                    "in_use": False,
                }
            ],
            ["data  (local)"],
        ),
        (
            "logs web",
            {"logs": f"{CREATED} hello\n"},
            [f"{CREATED}  hello"],
        ),
        (
            "scan /srv",
            {
                "compose_files": [
                    {
                        "path": "/srv/a/compose.yml",
                        "project_name": "a",
                        "size": 1,
                        "services": ["web", "db"],
                        "modified": CREATED,
                    }
                ]
            },
            ["/srv/a/compose.yml  a: web, db"],
        ),
        ("volumes", [], ["none"]),
        ("volumes", None, ["failed (500): a list was expected, not NoneType"]),
    ],
)
async def test_what_a_host_has(
    desk: Desk, here: tuple[ScriptedAgent, Host], line: str, payload: Any, said: list[str]
) -> None:
    """A line for each."""
    assert (await typed(desk, here[0], line, payload))[0] == said


async def test_stats(desk: Desk, here: tuple[ScriptedAgent, Host]) -> None:
    """The host, then each container's newest sample with its age; what is over a minute old is history."""
    agent, _ = here
    await agent.tell(
        "container_stats",
        container_id=WEB,
        container_name="web",
        cpu_percent=7.25,
        memory_usage=2**20,
        memory_limit=0,
        memory_percent=0,
        network_rx=0,
        network_tx=0,
        disk_read=0,
        disk_write=0,
    )
    await asyncio.sleep(30)
    whole = "@rack7  CPU 7.2 %  memory 0.0 %  network 0 B/s  (by the containers)"
    assert await desk.type("stats") == [
        whole,
        f"{WEB}  CPU   7.2 %  memory     1.0 MiB  network       0 B/s  web  (30 s ago)",
    ]
    await asyncio.sleep(31)
    assert await desk.type("stats") == [whole]


async def test_update(desk: Desk, here: tuple[ScriptedAgent, Host]) -> None:
    """By name; its end is told when it comes, and the prompt is free until then."""
    agent, _ = here
    assert (await typed(desk, agent, "update web nginx:2", {}))[0] == []
    assert (await desk.type("hosts"))[0].startswith("@rack7")
    assert await desk.type("update web nginx:3") == []
    await asyncio.sleep(0)
    assert desk.read() == [f"{WEB} is being updated already"]
    new = {"old_container_id": WEB, "new_container_id": "77aa88bb99cc", "container_name": "web"}
    await agent.tell("update_complete", **new, failed_dependents=["vpn"])
    assert desk.read() == [
        "web is 77aa88bb99cc now",
        "vpn, which depends on it, could not follow",
    ]


async def test_an_update_that_fails(desk: Desk, here: tuple[ScriptedAgent, Host]) -> None:
    """At once with what the agent refused it for, or as late as the server knows of it."""
    agent, _ = here
    await asyncio.gather(desk.type("update web x"), agent.answer(error="no image"))
    await asyncio.sleep(1)
    assert desk.read() == ["the update of web failed: no image"]
    await typed(desk, agent, "update web x", {})
    await asyncio.sleep(299)
    assert desk.read() == []
    await asyncio.sleep(2)
    assert desk.read() == ["the update of web failed: Agent update failed or timed out"]


async def test_what_was_begun_ends_with_the_prompt(
    hub: Hub, here: tuple[ScriptedAgent, Host]
) -> None:
    """Nobody who quits waits for what the server still waits for."""
    began_s = asyncio.get_running_loop().time()
    desk = Desk(hub)
    async with desk.prompt:
        await typed(desk, here[0], "update web nginx:2", {})
    assert asyncio.get_running_loop().time() - began_s < 1
    assert desk.read() == []


async def test_upgrade(desk: Desk, here: tuple[ScriptedAgent, Host]) -> None:
    """An agent that is another product should refuse."""
    agent, _ = here
    said, _ = await asyncio.gather(desk.type("upgrade 9"), agent.answer(error="not mine"))
    assert said == ["failed (500): not mine"]
    assert (await typed(desk, agent, "upgrade 9", {}))[0] == ["the agent agreed"]


async def test_self_update(desk: Desk, here: tuple[ScriptedAgent, Host]) -> None:
    """A release of the agent's own, as an image or as a file; its answer may take two minutes and is told then."""
    agent, _ = here
    assert await desk.type("self-update r.test/agent:3.1.0 3.1.0 https://e.com/a.pyz abab") == []
    request = await agent.answer(payload={})
    assert list(request["payload"].values()) == [
        *("r.test/agent:3.1.0", "3.1.0", "https://e.com/a.pyz", "abab")
    ]
    await agent.heard()
    assert desk.read() == ["the agent agreed"]


async def test_deploy(desk: Desk, here: tuple[ScriptedAgent, Host], tmp_path: Path) -> None:
    """A file with the .env beside it; the project is called like the folder. Its end is told when it comes."""
    agent, _ = here
    folder = tmp_path / "Shop"
    folder.mkdir()
    (folder / "compose.yaml").write_text("services: {}")
    (folder / ".env").write_text("A=1")
    assert await desk.type(f"deploy {folder}/compose.yaml") == []
    payload = (await agent.answer(payload={}))["payload"]
    assert [payload[key] for key in ("project_name", "compose_content", "env_file_content")] == [
        *("shop", "services: {}", "A=1")
    ]
    web = {"container_id": WEB, "container_name": "web", "image": "x", "status": "running"}
    end = {"deployment_id": payload["deployment_id"], "success": True, "services": {"web": web}}
    await agent.tell("deploy_complete", **end)
    assert desk.read() == ["shop: running", f"{WEB}  web  running"]


async def test_a_shell(desk: Desk, here: tuple[ScriptedAgent, Host]) -> None:
    """Lines go to the shell and its output is printed as it comes, until a dot or its end."""
    agent, _ = here
    opening = asyncio.gather(desk.type("shell web"))
    frame = await agent.hear()
    session = {"session_id": frame["payload"]["session_id"]}
    await agent.hear()
    await agent.tell("shell_data", **session, action="started")
    assert (await opening)[0] == []
    assert await desk.type("hosts\n") == []
    assert base64.b64decode((await agent.hear())["payload"]["data"]) == b"hosts\n"
    for part in ("é".encode()[:1], "é".encode()[1:] + b"\n"):
        data = base64.b64encode(part).decode()
        await agent.tell("shell_data", **session, action="data", data=data)
    assert desk.read() == ["é"]
    assert await desk.type(".") == ["* left the shell"]
    assert (await agent.hear())["payload"]["action"] == "close"
    assert (await desk.type("hosts"))[0].startswith("@rack7")


@pytest.mark.parametrize(
    ("error", "said"),
    [("No such container", "failed: No such container"), (None, "the agent opened no shell")],
)
async def test_no_shell(
    desk: Desk, here: tuple[ScriptedAgent, Host], error: str | None, said: str
) -> None:
    """The error is told; silence is given half a minute."""
    agent, _ = here
    opening = asyncio.gather(desk.type("shell web"))
    session_id = (await agent.hear())["payload"]["session_id"]
    if error:
        await agent.tell("shell_data", session_id=session_id, action="error", error=error)
    assert (await opening)[0] == [said]
    assert (await desk.type("hosts"))[0].startswith("@rack7")


async def test_health_checks(desk: Desk, here: tuple[ScriptedAgent, Host]) -> None:
    """Added, listed with their last result, removed."""
    agent, host = here
    [told] = await desk.type("checks add web http://web/ 30")
    assert told == "web is checked from the agent's next connect on"
    assert host.health_checks[0]["check_interval_seconds"] == 30
    assert await desk.type("checks") == [f"{WEB}  GET http://web/  no result yet"]
    result = {"container_id": WEB, "healthy": True, "status_code": 204, "response_time_ms": 7}
    await agent.tell("health_check_result", **result, timestamp="2026-01-01T00:00:00Z")
    assert await desk.type("checks list") == [f"{WEB}  GET http://web/  healthy (204, 7 ms)"]
    await desk.type("checks remove web")
    assert await desk.type("checks") == ["none"]


async def test_the_log_and_the_complaints(desk: Desk, here: tuple[ScriptedAgent, Host]) -> None:
    """What the UI lists, and what it does not."""
    agent, _ = here
    await agent.say({"type": "error", "error": "the engine is gone"})
    await agent.say({"type": "gossip"})
    await agent.heard()
    assert await desk.type("log 1") == ["failed  error       the engine is gone"]
    assert await desk.type("complaints") == ["rack7: 'gossip' is nothing that the server knows"]


async def test_it_tells_how_work_goes_on(
    hub: Hub, desk: Desk, here: tuple[ScriptedAgent, Host]
) -> None:
    """Stages and errors, as they come."""
    agent, _ = here
    hub.listen(desk.prompt.narrate)
    await agent.tell("update_progress", container_id=WEB, stage="backup", message="Renaming")
    await agent.say({"type": "error", "error": "the engine is gone"})
    await agent.say({"type": "error", "error": "no update", "details": "it is unhealthy"})
    await agent.heard()
    assert desk.read() == [
        "* rack7: backup: Renaming",
        "* rack7: the engine is gone",
        "* rack7: no update: it is unhealthy",
    ]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("update web", "like this: update web nginx:1.29"),
        ("deploy", "like this: deploy shop/compose.yaml up"),
        ("deploy compose.yaml sideways", "sideways is none of up, down, restart"),
        ("deploy /nowhere/compose.yaml", "/nowhere/compose.yaml cannot be read: "),
        ("shell nobody", "no container is called nobody; `containers` lists them"),
        ("shell", "in which container? e.g. `shell web`"),
        ("logs", "whose? e.g. `logs web`"),
        ("checks clean", "checks clean? It is list, add or remove"),
        ("checks add web", "like this: checks add web http://web:8080/"),
        ("log many", "many is no number"),
    ],
)
@pytest.mark.usefixtures("here")
async def test_what_cannot_be_obeyed(desk: Desk, line: str, answer: str) -> None:
    """The answer shows how."""
    assert (await desk.type(line))[0].startswith(answer)
