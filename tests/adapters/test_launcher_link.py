"""The release's end of the socket to its launcher, over a real pair of sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agent.adapters.launcher_link import LauncherLink, launcher_link
from agent.core.launch import NoLaunch
from agent.ports import LauncherSilent, Switch

pytestmark = pytest.mark.real_time

LAUNCH = json.dumps(
    {
        "running": {"build_id": "a", "version": "3.0.0"},
        "baked": {"build_id": "a", "version": "3.0.0"},
    }
)
SWITCH = Switch("2c" * 32, "3.1.0", "c-1", "self_update", needs_engine=True)


class OtherEnd:
    """The launcher's: reads lines, writes what a test wants."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end, self._rest = end, b""

    async def hears(self) -> Any:
        loop = asyncio.get_running_loop()
        while b"\n" not in self._rest:
            async with asyncio.timeout(5):
                self._rest += await loop.sock_recv(self._end, 65536)
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def says(self, text: bytes) -> None:
        self._end.send(text)

    def dies(self) -> None:
        self._end.close()


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[LauncherLink, OtherEnd, asyncio.Event]]:
    ours, theirs = socket.socketpair()
    environ = {
        "DOCKMON_AGENT_LAUNCHER_FD": str(ours.detach()),
        "DOCKMON_AGENT_LAUNCH": LAUNCH,
    }
    link = launcher_link(environ)
    assert link is not None
    other, lost = OtherEnd(theirs), asyncio.Event()
    await link.open(lost.set)
    try:
        yield link, other, lost
    finally:
        link.close()
        other.dies()


async def test_what_is_said() -> None:
    """A line of JSON each, as the contract with the launcher has them."""
    async with linked() as (link, other, _):
        link.heartbeat()
        link.registered()
        link.reported("c-1")
        assert [await other.hears() for _ in range(3)] == [
            {"say": "heartbeat"},
            {"say": "registered"},
            {"say": "reported", "command_id": "c-1"},
        ]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b'{"re":"switch","ok":true}\n', ""),
        (b'{"re":"switch","ok":false,"why":"it is not signed"}\n', "it is not signed"),
        (b'nonsense\n{"re":"switch","ok":false}\n', "no reason given"),
    ],
)
async def test_a_switch(answer: bytes, why: str) -> None:
    """Asked with all that the launcher wants to know; its answer is "" or why not."""
    async with linked() as (link, other, _):
        asking = asyncio.gather(link.switch(SWITCH, deadline_s=5))
        assert await other.hears() == {
            "say": "switch",
            "build_id": "2c" * 32,
            "version": "3.1.0",
            "command_id": "c-1",
            "command": "self_update",
            "deadline_s": 90,
            "needs_engine": True,
        }
        other.says(answer[:7])
        other.says(answer[7:])
        assert list(await asking) == [why]


async def test_a_launcher_that_does_not_answer() -> None:
    """What it did is not known, which is another thing than no."""
    async with linked() as (link, other, _):
        with pytest.raises(LauncherSilent, match=r"within 0\.05 s"):
            await link.switch(SWITCH, deadline_s=0.05)
        other.says(b'{"re":"switch","ok":true}\n')  # too late, and nobody waits for it
        await asyncio.sleep(0)


async def test_a_launcher_that_dies() -> None:
    """The agent is told, for nobody would take a bad release back; what was asked has no answer."""
    async with linked() as (link, other, lost):
        asking = asyncio.gather(link.switch(SWITCH, deadline_s=5), return_exceptions=True)
        await other.hears()
        other.dies()
        [silent] = await asking
        assert isinstance(silent, LauncherSilent)
        assert lost.is_set()
        link.heartbeat()  # as until the end of the process


async def test_a_link_that_is_closed() -> None:
    """It is we who end: nothing is lost."""
    async with linked() as (link, _, lost):
        link.close()
        await asyncio.sleep(0.01)
        assert not lost.is_set()


def test_without_a_launcher() -> None:
    """As `dockmon-agent run` by hand."""
    assert launcher_link({}) is None
    assert launcher_link({"DOCKMON_AGENT_LAUNCH": LAUNCH}) is None


def test_what_cannot_be_read() -> None:
    """It is told apart from none: the operator has to know."""
    with pytest.raises(NoLaunch):
        launcher_link({"DOCKMON_AGENT_LAUNCH": "{}", "DOCKMON_AGENT_LAUNCHER_FD": "3"})
    with pytest.raises(OSError, match="Bad file descriptor"):
        launcher_link({"DOCKMON_AGENT_LAUNCH": LAUNCH, "DOCKMON_AGENT_LAUNCHER_FD": "999"})
