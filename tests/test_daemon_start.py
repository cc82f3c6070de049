"""The daemon's start as its launcher sees it, before an engine that takes all questions and answers none."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.real_time

PATIENCE_S = 20.0
LAUNCH = json.dumps(
    {
        "running": {"build_id": "a", "version": "3.0.0"},
        "baked": {"build_id": "a", "version": "3.0.0"},
    }
)


class SilentEngine:
    """Accepts, and never says a word."""

    def __init__(self) -> None:
        self.asked, self.given_up = asyncio.Event(), asyncio.Event()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.set()
        while await reader.read(65536):
            pass
        self.given_up.set()
        writer.close()


class Starting:
    """An agent that asks the engine which container it runs in, and the launcher's end of the link to it."""

    def __init__(
        self, process: asyncio.subprocess.Process, launcher: socket.socket, engine: SilentEngine
    ) -> None:
        self.process, self.launcher, self.engine = process, launcher, engine

    async def hears(self) -> bytes:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_S):
            return await loop.sock_recv(self.launcher, 65536)

    async def ends(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()


@pytest.fixture
async def starting(tmp_path: Path) -> AsyncIterator[Starting]:
    engine = SilentEngine()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    async with await asyncio.start_unix_server(engine.accept, tmp_path / "docker.sock"):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agent"),
            pass_fds=(theirs.fileno(),),
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                "HOSTNAME": "0123456789ab",  # as a container is called
                "DOCKER_HOST": f"unix://{tmp_path}/docker.sock",
                "DOCKMON_URL": "http://127.0.0.1:9",
                "REGISTRATION_TOKEN": "t0k-en",
                "DATA_PATH": str(tmp_path / "data"),
                "DOCKMON_AGENT_LAUNCHER_FD": str(theirs.fileno()),
                "DOCKMON_AGENT_LAUNCH": LAUNCH,
            },
        )
        theirs.close()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await engine.asked.wait()
            yield Starting(process, ours, engine)
        finally:
            ours.close()
            if process.returncode is None:
                process.kill()
                await process.wait()


async def test_a_heartbeat_before_the_engine_has_answered(starting: Starting) -> None:
    """The launcher hears of a release that starts slowly, so that it does not take it for one that hangs."""
    assert json.loads((await starting.hears()).splitlines()[0]) == {"say": "heartbeat"}
    assert not starting.engine.given_up.is_set()


async def test_a_stop_meanwhile(starting: Starting) -> None:
    """It ends in good order, before the question to the engine does."""
    await starting.hears()
    starting.process.send_signal(signal.SIGTERM)
    assert await starting.ends() == 0


async def test_the_launcher_goes_meanwhile(starting: Starting) -> None:
    """Nobody would take this release back: it ends as well."""
    await starting.hears()
    starting.launcher.close()
    assert await starting.ends() == 0
