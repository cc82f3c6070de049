"""Figures of real containers: the ones that Docker's own client shows, and zeros at the end."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import docker
import pytest
from engine import LABEL, NAME_PREFIX, Containers
from fakes.channel import FakeChannel
from fakes.scope import FakeScope
from fakes.telemetry import FakeMeter, FakeSink

from agent.adapters.engine import DockerEngine, Endpoint
from agent.adapters.engine_stats import EngineStats
from agent.clock import utcnow
from agent.core.roster import Run
from agent.core.stats import Counters, sample
from agent.features.inspections import Inspections
from agent.features.telemetry import Telemetry
from agent.ports import Json

BUSY = ["sh", "-c", "trap 'exit 0' TERM; head -c 8000000 /dev/zero > /tmp/x; while :; do :; done"]

TALKING = [
    "sh",
    "-c",
    "trap 'exit 0' TERM; ping $(ip route | grep default | cut -d ' ' -f 3) & wait",
]
"""Pings its gateway, which is the host."""

PATIENCE_S = 60.0
"""An engine before 23.0 takes a second for each container that runs on it, whoever it belongs to."""


@pytest.fixture
async def engine(engine_url: str) -> AsyncIterator[DockerEngine]:
    engine = DockerEngine(Endpoint.parse(engine_url))
    yield engine
    await engine.close()


async def look(source: EngineStats, container: str) -> Counters:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if found := await source.read([Run(container, "")]):
                return found[container]


def traffic_bytes(figures: Counters) -> tuple[int, int]:
    return figures.network_rx_bytes, figures.network_tx_bytes


async def measured(source: EngineStats, container: str) -> Json:
    """What a sample says that was taken over two seconds."""
    before = await look(source, container)
    await asyncio.sleep(2)
    now = await look(source, container)
    return sample(before, now, container_id=container, name="", at=utcnow())


async def docker_stats(engine_url: str, container: str) -> tuple[float, str]:
    """(CPU percent, memory percent) as `docker stats` shows them."""
    command = ["docker", "stats", "--no-stream", "--format", "{{json .}}", container]

    def ask() -> bytes:
        environ = {**os.environ, "DOCKER_HOST": engine_url}
        return subprocess.run(command, env=environ, capture_output=True, check=True).stdout

    with ThreadPoolExecutor(1) as thread:
        told = json.loads(await asyncio.get_running_loop().run_in_executor(thread, ask))
    return float(told["CPUPerc"].rstrip("%")), told["MemPerc"]


async def test_busy_and_idle(engine: DockerEngine, engine_url: str, containers: Containers) -> None:
    """As `docker stats` says: a fifth of a core for one that may have no more, next to nothing for the other."""
    if shutil.which("docker") is None:
        pytest.skip("there is no docker command")
    limits = {"nano_cpus": 200_000_000, "mem_limit": "64m"}
    busy, idle = containers.run("busy", BUSY, host=limits), containers.run("idle", host=limits)
    source = EngineStats(engine)
    await asyncio.sleep(1)  # until the file is written

    ours = await measured(source, busy.id)
    cpu_percent, memory_percent = await docker_stats(engine_url, busy.id)
    assert ours["cpu_percent"] == pytest.approx(cpu_percent, abs=8)
    assert ours["memory_percent"] == pytest.approx(float(memory_percent.rstrip("%")), abs=3)
    assert ours["memory_limit"] == 64 << 20
    assert 5 < ours["cpu_percent"] < 40

    ours = await measured(source, idle.id)
    cpu_percent, _ = await docker_stats(engine_url, idle.id)
    assert max(ours["cpu_percent"], cpu_percent) < 3
    assert 0 < ours["memory_usage"] < 16 << 20


@pytest.fixture
def network(docker_client: docker.APIClient) -> Iterator[str]:
    """A bridge of its own: an engine without one removes the default one for all."""
    name = f"{NAME_PREFIX}{secrets.token_hex(4)}"
    docker_client.create_network(name, labels={LABEL: "1"})
    yield name
    docker_client.remove_network(name)


async def test_a_network_that_is_used(
    engine: DockerEngine, network: str, containers: Containers
) -> None:
    """What a container sends and gets on its bridge is counted; one without a network has nothing to count."""
    bridged = containers.run("bridged", TALKING, host={"network_mode": network})
    alone = containers.run("alone")
    source = EngineStats(engine)
    async with asyncio.timeout(PATIENCE_S):
        while min(traffic_bytes(await look(source, bridged.id))) == 0:
            await asyncio.sleep(1)
    assert traffic_bytes(await look(source, alone.id)) == (0, 0)


async def test_from_the_first_sample_to_the_last(
    engine: DockerEngine, containers: Containers, docker_client: docker.APIClient
) -> None:
    """A container that runs is sampled under its name; when it is stopped, its last sample is zeros, in no time."""
    web = containers.run("web")
    channel, history = FakeChannel(), FakeSink()
    meter = FakeMeter()
    meter.is_blind = True
    inspections, source = Inspections(engine), EngineStats(engine)
    telemetry = Telemetry(engine, inspections, channel, source, meter, utcnow, stats_link=history)

    class Noticing:
        def event(self, event: Json) -> None:
            telemetry.notice(event)

        def ended(self, reason: str) -> None:
            raise AssertionError(reason)

    def samples() -> list[Json]:
        return [s for s in channel.payloads("container_stats") if s["container_id"] == web.id]

    async def until(count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(samples()) < count:
                await asyncio.sleep(0.05)

    reader = engine.read_events({"type": ["container"]}, Noticing())
    async with FakeScope() as scope:
        telemetry.acquire(scope)
        await until(1)
        first = samples()[0]
        assert (first["container_name"], first["cpu_percent"]) == (web.name, 0.0)
        assert first["memory_usage"] > 0
        docker_client.kill(web.id, signal="SIGCONT")
        await until(2)

        docker_client.kill(web.id)
        async with asyncio.timeout(5):
            while samples()[-1]["memory_usage"]:
                await asyncio.sleep(0.05)
        told = len(samples())
        await asyncio.sleep(6)
        assert len(samples()) == told
        assert [s for s in history.samples if s["container_id"] == web.id][-1] == samples()[-1]
        await telemetry.release()
    reader.close()
