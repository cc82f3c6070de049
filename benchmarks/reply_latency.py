"""How long a reply takes that needs no engine call, idle and beside floods: `python -m benchmarks.reply_latency`.

The agent is a process of its own; the server's share, in this one, is part of the figures. It takes an engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import docker
from engine import Containers, connect, find_engine, make_busybox_image
from integration.agent_process import AgentProcess

from agent.hub.breaker import CircuitBreaker
from agent.hub.host import Host
from agent.hub.replies import RequestFailed
from agent.hub.server import Hub

REQUESTS = 200
PAUSE_S = 0.01
ONLINE_S = 60.0
SETTLE_S = 1.0
"""Until a flood flows."""

GOAL_MS = 250.0

IMAGE = "dockmon-agent-bench/busybox:latest"
TALKATIVE = "trap 'exit 0' TERM; yes $(head -c {chars} /dev/zero | tr '\\0' x) & wait"
TALKATIVE_HOST = {
    "log_config": {"type": "json-file", "config": {"max-size": "20m", "max-file": "2"}},
    "nano_cpus": 100_000_000,  # or it would measure what is left of the machine
}
STARTERS = 8
SLOW_BYTES_PER_S = 1_000_000


@dataclass(frozen=True)
class Scene:
    """One host that is online, and where to put containers."""

    hub: Hub
    host: Host
    client: docker.APIClient
    containers: Containers
    threads: ThreadPoolExecutor


Flood = Callable[[Scene], contextlib.AbstractAsyncContextManager[None]]


# --- Floods


@contextlib.asynccontextmanager
async def nothing(scene: Scene) -> AsyncIterator[None]:
    yield


@contextlib.asynccontextmanager
async def a_shell(scene: Scene) -> AsyncIterator[None]:
    """A process that writes to a terminal as fast as it is read."""
    web = scene.containers.run("web")
    shell = await scene.hub.open_shell(scene.host.id, web.id)
    await shell.send("seq 1000000000\n")
    yield
    await shell.close()
    # It ends before its container: an engine that removes one whose output nobody reads takes seconds.
    while "seq" in str(await on(scene, scene.client.top, web.id)):
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def logs(chars: int, scene: Scene) -> AsyncIterator[None]:
    """The 10 000 newest lines of a container that never stops, each of so many characters, asked for again and again.

    Nothing can be said in the middle of a message, so a reply waits until the server has read all of the log before.
    """
    command = ["sh", "-c", TALKATIVE.format(chars=chars)]
    talkative = scene.containers.run("talkative", command, host=TALKATIVE_HOST)
    await asyncio.sleep(3 * SETTLE_S)

    async def ask() -> None:
        wanted = {"container_id": talkative.id, "tail": 10_000}
        await scene.hub.request(scene.host.id, "get_logs", wanted)

    async with again_and_again(ask):
        yield


@contextlib.asynccontextmanager
async def starts(scene: Scene) -> AsyncIterator[None]:
    """Containers that are restarted as fast as the engine can, eight at a time."""
    made = [scene.containers.run("storm").id for _ in range(STARTERS)]

    async def restart() -> None:
        restarting = (on(scene, scene.client.restart, each) for each in made)
        await asyncio.gather(*restarting)

    async with again_and_again(restart):
        yield


@contextlib.asynccontextmanager
async def a_slow_server(scene: Scene) -> AsyncIterator[None]:
    """A megabyte a second is all it reads, and a shell that floods would fill twice as much."""
    async with a_shell(scene):
        scene.hub.faults.throttle(scene.host, SLOW_BYTES_PER_S)
        try:
            yield
        finally:
            scene.hub.faults.heal()


FLOODS: Sequence[tuple[str, Flood]] = [
    ("idle", nothing),
    ("a shell that floods", a_shell),
    ("a log of 1 MB, again and again", partial(logs, 70)),
    ("a log of 9 MB, again and again", partial(logs, 900)),
    ("eight containers restarting", starts),
    ("a shell, and a server at 1 MB/s", a_slow_server),
]


@contextlib.asynccontextmanager
async def again_and_again(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    done = asyncio.Event()

    async def repeat() -> None:
        while not done.is_set():
            await work()

    async with asyncio.TaskGroup() as working:
        working.create_task(repeat())
        try:
            yield
        finally:
            done.set()


async def on(scene: Scene, work: Callable[..., object], *args: object) -> object:
    return await asyncio.get_running_loop().run_in_executor(scene.threads, work, *args)


# --- Measuring


async def latencies_ms(scene: Scene) -> list[float]:
    """Of replies to a command that nobody knows, sorted."""
    loop = asyncio.get_running_loop()
    found = []
    for _ in range(REQUESTS):
        scene.host.breaker = CircuitBreaker()  # to the server it is a failure each time
        began_s = loop.time()
        with contextlib.suppress(RequestFailed):
            await scene.hub.request(scene.host.id, "no_such_command")
        found.append((loop.time() - began_s) * 1e3)
        await asyncio.sleep(PAUSE_S)
    return sorted(found)


@contextlib.asynccontextmanager
async def scene_of(url: str) -> AsyncIterator[Scene]:
    with (
        contextlib.closing(connect(url)) as client,
        tempfile.TemporaryDirectory() as data,
        ThreadPoolExecutor(STARTERS) as threads,
    ):
        containers = Containers(client, make_busybox_image(client, IMAGE))
        try:
            async with Hub(poll_s=2.0) as hub:
                settings = {
                    "DOCKMON_URL": hub.url,
                    "REGISTRATION_TOKEN": hub.new_token(),
                    "DOCKER_HOST": url,
                    "DATA_PATH": data,
                }
                async with AgentProcess(settings):
                    host = await hub.host_online(ONLINE_S)
                    await asyncio.sleep(SETTLE_S)
                    yield Scene(hub, host, client, containers, threads)
        finally:
            containers.remove_all()
            client.remove_image(IMAGE, force=True)


async def measure(url: str) -> list[tuple[str, list[float]]]:
    measured = []
    async with scene_of(url) as scene:
        for name, flood in FLOODS:
            async with flood(scene):
                await asyncio.sleep(SETTLE_S)
                measured.append((name, await latencies_ms(scene)))
    return measured


def main() -> None:
    if (url := find_engine()) is None:
        raise SystemExit("no Docker engine answers")
    measured = asyncio.run(measure(url))
    idle_ms = measured[0][1][REQUESTS // 2]
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    lines = [
        f"replies that need no engine, on a machine with a load of {busy:.1f} per core",
        f"{'beside':34} p50 ms  p99 ms  max ms  p99 / idle p50",
    ]
    for name, found in measured:
        p50, p99, worst = found[REQUESTS // 2], found[REQUESTS * 99 // 100], found[-1]
        verdict = "" if worst < GOAL_MS else f"  over the goal of {GOAL_MS:.0f} ms"
        lines.append(
            f"{name:34} {p50:6.1f}  {p99:6.1f}  {worst:6.1f}  {p99 / idle_ms:8.1f} x{verdict}"
        )
    print("\n".join(lines))  # noqa: T201  printing is what a benchmark is for


if __name__ == "__main__":
    main()
