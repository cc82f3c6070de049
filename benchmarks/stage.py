"""Everything that a measurement takes: containers on the real engine, server and agent as processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import docker
from engine import Containers, connect, find_engine, make_busybox_image
from integration.agent_process import AgentProcess

from agent.launcher.child import ONE_ARENA
from benchmarks import certificate

IMAGE = "dockmon-agent-bench/busybox:latest"
ROOT = Path(__file__).parent.parent
HANDS = 4
ANSWER_S = 120.0
_LINE_BYTES = 2**24

T = TypeVar("T")


class ServerFailed(Exception):
    """What the server answered instead of a result."""


class ServerProcess:
    """`server_process`, asked one thing at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._in_order = asyncio.Lock()

    async def ask(self, do: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._in_order, asyncio.timeout(ANSWER_S):
            self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            await self._process.stdin.drain()
            answer = json.loads(await self._process.stdout.readline() or '{"error": "it ended"}')
        if "error" in answer:
            raise ServerFailed(f"{do}: {answer['error']}")
        return answer["result"]


class Stage:
    """Containers of our own, and processes that come and go."""

    def __init__(self, url: str, client: docker.APIClient, directory: Path) -> None:
        self.url, self.client, self._directory = url, client, directory
        self.containers = Containers(client, make_busybox_image(client, IMAGE))
        self.certificate = certificate.write(directory)
        self.ids: list[str] = []
        self._hands = ThreadPoolExecutor(HANDS)
        # A session of requests is not for two threads.
        self._clients = [connect(url) for _ in range(HANDS)]
        self._makers = [Containers(each, IMAGE) for each in self._clients]

    @property
    def socket(self) -> str:
        return self.url.removeprefix("unix://")

    async def grow(self, count: int) -> None:
        """Idle containers with a network, until there are so many."""

        def work(maker: Containers, number: int) -> list[str]:
            host = {"network_mode": "bridge"}
            return [maker.run("idle", host=host).id for _ in range(number)]

        missing = count - len(self.ids)
        shares = [missing // HANDS + (each < missing % HANDS) for each in range(HANDS)]
        pairs = zip(self._makers, shares, strict=True)
        made = await asyncio.gather(*(self.do(work, *pair) for pair in pairs))
        self.ids += [each for some in made for each in some]

    def running(self) -> list[str]:
        """All that run on this engine, whoever made them: an agent sees them, too."""
        return [each["Id"] for each in self.client.containers()]

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._hands, work, *arguments)

    @contextlib.asynccontextmanager
    async def server(self) -> AsyncIterator[ServerProcess]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.server_process", str(self._directory)),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))},
        )
        try:
            yield ServerProcess(process)
        finally:
            await _end(process)

    @contextlib.asynccontextmanager
    async def agent(self, server: ServerProcess, **more: str) -> AsyncIterator[AgentProcess]:
        """Once its host is online."""
        where = await server.ask("where")
        name, value = ONE_ARENA
        with tempfile.TemporaryDirectory() as data:
            settings = {
                name: value,  # as the launcher starts it
                "DOCKMON_URL": where["hub"],
                "DOCKMON_CA_CERT": str(self.certificate),
                "REGISTRATION_TOKEN": where["token"],
                "DOCKER_HOST": self.url,
                "DATA_PATH": data,
                **more,
            }
            async with AgentProcess(settings) as agent:
                await server.ask("online")
                yield agent

    @contextlib.asynccontextmanager
    async def api_collector(
        self, server: ServerProcess, containers: Sequence[str]
    ) -> AsyncIterator[int]:
        where = await server.ask("where")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.api_collector"),
            *(self.socket, where["sink"], str(self.certificate)),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write("\n".join(containers).encode())
        process.stdin.close()
        try:
            yield process.pid
        finally:
            await _end(process)

    async def clear(self) -> None:
        await asyncio.gather(*(self.do(maker.remove_all) for maker in self._makers))
        await self.do(self.containers.remove_all)
        self._hands.shutdown()
        for each in self._clients:
            each.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


@contextlib.asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Cleared at the end, whatever happens, SIGTERM included.

    Raises:
        SystemExit: There is no engine here that could be measured.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    url = find_engine()
    if url is None or not url.startswith("unix://"):
        raise SystemExit(
            "no Docker engine answers on this machine: what it costs could not be seen"
        )
    with contextlib.closing(connect(url)) as client, tempfile.TemporaryDirectory() as directory:
        made = Stage(url, client, Path(directory))
        try:
            yield made
        finally:
            await made.clear()
            with contextlib.suppress(docker.errors.APIError):
                client.remove_image(IMAGE, force=True)
