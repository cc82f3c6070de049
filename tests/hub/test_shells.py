"""Terminals: what a browser shows of a shell."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from hub.scripted_agent import ScriptedAgent, joined

from agent.hub.server import Hub
from agent.hub.shells import Shell

WEB = "9ab3c1d2e4f5"


async def heard(agent: ScriptedAgent, count: int) -> list[dict[str, Any]]:
    """The payloads of the next messages, without the session."""
    frames = [await agent.hear() for _ in range(count)]
    assert {(frame["type"], *(frame.keys() - {"type", "payload"})) for frame in frames} == {
        ("shell_session",)
    }
    return [
        {name: value for name, value in frame["payload"].items() if name != "session_id"}
        for frame in frames
    ]


async def output(agent: ScriptedAgent, shell: Shell, action: str, **fields: str) -> None:
    await agent.tell("shell_data", session_id=shell.session_id, action=action, **fields)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_a_session(hub: Hub) -> None:
    """It opens, tells its size at once, and every key stroke comes in order."""
    async with joined(hub) as (agent, host):
        shell = await hub.open_shell(host.id, WEB, size=(120, 40))
        await asyncio.gather(*(shell.send(key) for key in "ls\n"))
        await shell.resize(80, 24)
        assert await heard(agent, 6) == [
            {"action": "start", "container_id": WEB},
            {"action": "resize", "cols": 120, "rows": 40},
            {"action": "data", "data": encoded("l")},
            {"action": "data", "data": encoded("s")},
            {"action": "data", "data": encoded("\n")},
            {"action": "resize", "cols": 80, "rows": 24},
        ]
        await output(agent, shell, "started")
        await output(agent, shell, "data", data=encoded("bin  e"))
        await output(agent, shell, "data", data="")
        await output(agent, shell, "data", data=encoded("tc\r\n"))
        assert await shell.shows("etc", timeout_s=1) == "bin  etc\r\n"
        await shell.close()
        assert await heard(agent, 1) == [{"action": "close"}]
        assert shell.browser_closed == (1000, "")
    assert hub.complaints == []


async def test_waiting_for_output(hub: Hub) -> None:
    """What does not come is told with what came instead."""
    async with joined(hub) as (agent, host):
        shell = await hub.open_shell(host.id, WEB, size=None)
        waiting = asyncio.gather(shell.shows("$ ", timeout_s=5))
        await output(agent, shell, "data", data=encoded("$ "))
        assert (await waiting)[0] == "$ "
        with pytest.raises(TimeoutError, match=r"'#' is not in '\$ '"):
            await shell.shows("#", timeout_s=5)
        with pytest.raises(TimeoutError):
            await shell.ended(timeout_s=5)


async def test_the_end_of_a_shell(hub: Hub) -> None:
    """The browser stays open, and what its user still types is dropped."""
    async with joined(hub) as (agent, host):
        shell = await hub.open_shell(host.id, WEB, size=None)
        await agent.hear()
        await output(agent, shell, "closed")
        await shell.ended(timeout_s=1)
        assert (shell.over, shell.browser_closed, shell.error) == (True, None, None)
        await shell.send("ls\n")
        await shell.close()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(agent.hear(), 5)
    assert hub.complaints == []


@pytest.mark.parametrize(
    ("reason", "closed"),
    [
        ("No such container", (1011, "No such container")),
        ("x" * 123, (1011, "x" * 123)),
        ("x" * 124, None),
        ("é" * 62, None),
    ],
)
async def test_an_error(hub: Hub, reason: str, closed: tuple[int, str] | None) -> None:
    """It closes the browser, if its text fits into the reason: 123 bytes."""
    async with joined(hub) as (agent, host):
        shell = await hub.open_shell(host.id, WEB)
        await output(agent, shell, "error", error=reason)
        assert (shell.over, shell.error, shell.browser_closed) == (True, reason, closed)
    assert len(hub.complaints) == (0 if closed else 1)


async def test_the_agent_disconnects(hub: Hub) -> None:
    """Its terminals are closed, unless a newer connection of it is there already."""
    async with joined(hub) as (old, host):
        shell = await hub.open_shell(host.id, WEB)
        async with joined(hub, host.agent_id) as (agent, _):
            assert await old.end() == (1000, "New connection established")
            assert shell.browser_closed is None
            await output(agent, shell, "data", data=encoded("still here"))
            assert shell.text == "still here"
        await shell.ended(timeout_s=1)
        assert shell.browser_closed == (1001, "Agent disconnected")
        with pytest.raises(LookupError):
            await hub.open_shell(host.id, WEB)


async def test_output_after_the_browser_was_closed(hub: Hub) -> None:
    """What was on its way is shown to nobody, and nobody is to blame."""
    async with joined(hub) as (agent, host):
        shell = await hub.open_shell(host.id, WEB)
        await shell.close()
        await output(agent, shell, "data", data=encoded("late"))
        assert shell.text == ""
    assert hub.complaints == []


async def test_what_an_agent_should_not_send(hub: Hub) -> None:
    """For no session, in no base64, after the end."""
    async with joined(hub) as (agent, host):
        shell = await hub.open_shell(host.id, WEB)
        await agent.tell("shell_data", session_id="x", action="data", data="")
        await output(agent, shell, "data", data="b25l!")
        await output(agent, shell, "closed")
        await output(agent, shell, "data", data=encoded("more"))
    assert [text for _, text in hub.complaints] == [
        "shell_data: there is no session x",
        "shell_data: data is no base64",
        "shell_data: data after the session ended",
    ]
