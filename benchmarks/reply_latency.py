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
from typing import Any, TypeVar

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

STARTING = 300
"""Containers that are started as fast as the engine can, all of them once."""

STARTING_PAUSE_S = 0.15
"""Between two questions meanwhile: all of them take half a minute, and the engine takes longer than that."""

STALL_S = 30.0
SLOW_BYTES_PER_S = 1_000_000


T = TypeVar("T")


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
async def many_starts(scene: Scene) -> AsyncIterator[None]:
    """Containers that all start at once, as after the engine itself was started."""
    create = partial(scene.containers.create, "many")
    made = [(await on(scene, create)).id for _ in range(STARTING)]
    async with asyncio.TaskGroup() as starting:
        for each in made:
            starting.create_task(on(scene, scene.client.start, each))
        yield
    await on(scene, scene.containers.remove_all)


@contextlib.asynccontextmanager
async def a_slow_server(scene: Scene) -> AsyncIterator[None]:
    """A megabyte a second is all it reads, and a shell that floods would fill twice as much."""
    async with a_shell(scene):
        scene.hub.faults.throttle(scene.host, SLOW_BYTES_PER_S)
        try:
            yield
        finally:
            scene.hub.faults.heal()


FLOODS: Sequence[tuple[str, Flood, float]] = [
    ("idle", nothing, PAUSE_S),
    ("a shell that floods", a_shell, PAUSE_S),
    ("a log of 1 MB, again and again", partial(logs, 70), PAUSE_S),
    ("a log of 9 MB, again and again", partial(logs, 900), PAUSE_S),
    ("eight containers restarting", starts, PAUSE_S),
    (f"{STARTING} containers starting", many_starts, STARTING_PAUSE_S),
    ("a shell, and a server at 1 MB/s", a_slow_server, PAUSE_S),
]
"""Each with the pause between two questions."""


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


async def on(scene: Scene, work: Callable[..., T], *args: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(scene.threads, work, *args)


# --- Measuring


async def latencies_ms(scene: Scene, pause_s: float = PAUSE_S) -> list[float]:
    """Of replies to a command that nobody knows, sorted."""
    found = []
    for _ in range(REQUESTS):
        found.append(await latency_ms(scene))
        await asyncio.sleep(pause_s)
    return sorted(found)


async def latency_ms(scene: Scene) -> float:
    loop = asyncio.get_running_loop()
    scene.host.breaker = CircuitBreaker()  # to the server it is a failure each time
    began_s = loop.time()
    try:
        await scene.hub.request(scene.host.id, "no_such_command")
    except RequestFailed as failed:
        if "unknown command" not in failed.text:
            raise  # nobody answered
    return (loop.time() - began_s) * 1e3


async def stall(scene: Scene) -> tuple[float, list[float]]:
    """A server that reads nothing for half a minute, from the middle of a log of 9 MB on.

    Returns how long a question takes that it asks meanwhile, and the latencies once it reads again.
    """
    loop, stalled = asyncio.get_running_loop(), scene.host.link
    assert stalled is not None
    talkative = scene.containers.run(
        "talkative", ["sh", "-c", TALKATIVE.format(chars=900)], host=TALKATIVE_HOST
    )
    await asyncio.sleep(3 * SETTLE_S)
    wanted = {"container_id": talkative.id, "tail": 10_000}
    began_s = loop.time()
    scene.hub.faults.stop_reading(scene.host)
    async with asyncio.TaskGroup() as asking:
        asking.create_task(scene.hub.request(scene.host.id, "get_logs", wanted))
        await asyncio.sleep(SETTLE_S)
        meanwhile_ms = await latency_ms(scene)
    await asyncio.sleep(began_s + STALL_S - loop.time())
    scene.hub.faults.heal()
    stalled.shut()  # it would wait for its close frame to be answered
    return meanwhile_ms, await latencies_ms(scene)


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


async def measure(url: str) -> tuple[list[tuple[str, list[float]]], float]:
    """The latencies beside each flood, and what a question takes that is asked by a server that reads nothing."""
    measured = []
    async with scene_of(url) as scene:
        for name, flood, pause_s in FLOODS:
            async with flood(scene):
                await asyncio.sleep(SETTLE_S)
                measured.append((name, await latencies_ms(scene, pause_s)))
        meanwhile_ms, afterwards_ms = await stall(scene)
        measured.append((f"a server that read nothing for {STALL_S:.0f} s", afterwards_ms))
    return measured, meanwhile_ms


def main() -> None:
    if (url := find_engine()) is None:
        raise SystemExit("no Docker engine answers")
    measured, meanwhile_ms = asyncio.run(measure(url))
    idle_ms = measured[0][1][REQUESTS // 2]
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    lines = [
        f"replies that need no engine, on a machine with a load of {busy:.1f} per core",
        f"{'beside':38} p50 ms  p99 ms  max ms  p99 / idle p50",
    ]
    for name, found in measured:
        p50, p99, worst = found[REQUESTS // 2], found[REQUESTS * 99 // 100], found[-1]
        verdict = "" if worst < GOAL_MS else f"  over the goal of {GOAL_MS:.0f} ms"
        lines.append(
            f"{name:38} {p50:6.1f}  {p99:6.1f}  {worst:6.1f}  {p99 / idle_ms:8.1f} x{verdict}"
        )
    lines.append(
        f"asked while the server read nothing: {meanwhile_ms / 1e3:.1f} s, over the next link"
    )
    print("\n".join(lines))  # noqa: T201  printing is what a benchmark is for


if __name__ == "__main__":
    main()
