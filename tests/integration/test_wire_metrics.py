"""Figures of containers and of the host, from the kernel's counters to what the server shows."""

from __future__ import annotations

import docker
import pytest
from engine import Containers
from integration.served import Served

BUSY = ("sh", "-c", "while :; do :; done")


@pytest.mark.protocol("container_stats", "zero sample")
async def test_a_container_is_seen_at_work_and_at_rest(
    served: Served, docker_client: docker.APIClient, containers: Containers
) -> None:
    """One that computes all the time uses most of a core; once it has ended, every figure is zero."""
    busy = containers.run("busy", BUSY)
    sample = await served.told("container_stats", busy.id)
    async with served.patience():
        while sample["cpu_percent"] == 0:  # the first look has nothing to compare with
            sample = await served.told("container_stats", busy.id)
    assert sample["container_name"] == busy.name
    assert sample["cpu_percent"] > 5
    assert 0 < sample["memory_usage"] < sample["memory_limit"]

    docker_client.kill(busy.id)
    zero = await served.told("container_stats", busy.id, cpu_percent=0.0, memory_usage=0)
    assert {value for key, value in zero.items() if key.startswith(("network", "disk"))} == {0}
    shown = served.hub.metrics.container(served.host.id, busy.id)
    assert shown is not None
    assert shown.sample.cpu_percent == 0


@pytest.mark.protocol("stats socket")
async def test_history_is_fed_through_the_second_socket(
    served: Served, containers: Containers
) -> None:
    """It opens right after the first registration, and takes the same samples."""
    web = containers.run("web")
    await served.told("container_stats", web.id)
    await served.told("container_stats", web.id)
    points = served.hub.history.of(served.host.id, web.id)
    assert points
    assert points[-1].sample.container_name == web.name
    assert points[-1].sample.memory_usage > 0


@pytest.mark.protocol("host stats")
async def test_the_host_is_seen_as_a_whole(served: Served) -> None:
    """From its own counters, not by adding up containers."""
    frames = []
    forget = served.hub.listen(
        lambda entry: frames.append(entry.frame) if entry.frame.get("type") == "stats" else None
    )
    await served.hub.wait_for(lambda _: len(frames) >= 2, 30)
    forget()
    shown = served.hub.metrics.host(served.host.id)
    assert shown.source == "agent"
    assert 0 <= shown.cpu_percent <= 100
    assert 0 < shown.mem_percent < 100
