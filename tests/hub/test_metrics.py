"""The live view of an agent's figures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hub.scripted_agent import joined

from agent.hub.metrics import HostMetrics
from agent.hub.server import Hub

WEB, DB = "9ab3c1d2e4f5", "77aa88bb99cc"


def sample(container_id: str = WEB, **fields: Any) -> dict[str, Any]:
    return {
        "container_id": container_id,
        "container_name": "web",
        "cpu_percent": 50.0,
        "memory_usage": 256,
        "memory_limit": 1024,
        "memory_percent": 25.0,
        "network_rx": 0,
        "network_tx": 0,
        "disk_read": 0,
        "disk_write": 0,
        **fields,
    }


async def test_the_newest_sample_stays(hub: Hub) -> None:
    """For ever, over a disconnect and whatever becomes of the container."""
    async with joined(hub) as (agent, host):
        await agent.tell("container_stats", **sample(cpu_percent=1))
        await agent.tell("container_stats", **sample(WEB + "0" * 52, cpu_percent=2))
    await asyncio.sleep(86_400)
    latest = hub.metrics.container(host.id, WEB)
    assert latest is not None
    assert (latest.sample.cpu_percent, latest.count) == (2, 2)
    assert hub.metrics.containers(host.id) == {WEB: latest}
    assert hub.metrics.container(host.id, DB) is None


async def test_network_rates(hub: Hub) -> None:
    """Between two samples, by the server's clock; counters that went backwards give none."""
    async with joined(hub) as (agent, host):
        rates = []
        for received, sent in [(100, 0), (300, 40), (0, 100)]:
            await agent.tell("container_stats", **sample(network_rx=received, network_tx=sent))
            latest = hub.metrics.container(host.id, WEB)
            assert latest is not None
            rates.append(latest.network_bytes_per_s)
            await asyncio.sleep(2)
    assert rates == pytest.approx([0, 120, 0], rel=0.01)


async def test_a_host_by_its_agent(hub: Hub) -> None:
    """Its figures are good for ten seconds; what is missing counts as nothing."""
    async with joined(hub) as (agent, host):
        await agent.say({"type": "stats", "stats": {"cpu_percent": 12.5, "mem_percent": 48}})
        await agent.heard()
        assert hub.metrics.host(host.id) == HostMetrics(12.5, 48, 0, "agent")
        await asyncio.sleep(9.9)
        assert hub.metrics.host(host.id).source == "agent"
        await asyncio.sleep(0.1)
        assert hub.metrics.host(host.id) == HostMetrics(0, 0, 0, "containers")


@pytest.mark.parametrize(
    ("facts", "cpu_percent", "mem_percent"),
    [({"num_cpus": 4, "total_memory": 1024}, 25, 50), ({}, 100, 0)],
)
async def test_a_host_by_its_containers(
    hub: Hub, facts: dict[str, Any], cpu_percent: float, mem_percent: float
) -> None:
    """Divided by what the agent registered: without, they cannot be right."""
    async with joined(hub, **facts) as (agent, host):
        await agent.tell("container_stats", **sample(WEB))
        await agent.tell("container_stats", **sample(DB))
        assert hub.metrics.host(host.id) == HostMetrics(cpu_percent, mem_percent, 0, "containers")


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "event", "command": "container_stats", "payload": sample(memory_usage=1.5)},
        {"type": "event", "command": "container_stats", "payload": None},
        {"type": "stats", "stats": {"cpu_percent": "12"}},
        {"type": "stats", "stats": None},
        {"type": "stats"},
    ],
)
async def test_figures_of_another_type(hub: Hub, frame: dict[str, Any]) -> None:
    """They are dropped, with a complaint."""
    async with joined(hub) as (agent, host):
        await agent.say(frame)
        await agent.heard()
        assert hub.metrics.containers(host.id) == {}
        assert hub.metrics.host(host.id).source == "containers"
    assert len(hub.complaints) == 1
