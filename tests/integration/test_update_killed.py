"""kill -9 of the real agent in each state of an update: the next one brings it to an end, and the server is told."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import docker
import pytest
from engine import IDLE, busybox_root
from integration.agent_process import AgentProcess
from integration.gallery import Gallery

from agent.adapters.engine import DockerEngine, Endpoint
from agent.console.image_registry import ImageRegistry
from agent.hub.server import Hub

END_S = 90.0


@pytest.fixture(scope="module")
def registry() -> Iterator[ImageRegistry]:
    with ImageRegistry(busybox_root()) as registry:
        yield registry


@pytest.fixture
async def gallery(
    engine_url: str, docker_client: docker.APIClient, registry: ImageRegistry
) -> AsyncIterator[Gallery]:
    engine = DockerEngine(Endpoint.parse(engine_url))
    gallery = Gallery(docker_client, engine, registry)
    yield gallery
    await engine.close()
    gallery.close()


@pytest.mark.parametrize(
    "stage",
    [
        *("pulling", "configuring", "backup", "creating", "starting"),
        *("health_check", "dependents", "cleanup"),
    ],
)
async def test_an_agent_that_is_killed(
    hub: Hub, settings: dict[str, str], gallery: Gallery, stage: str
) -> None:
    """As soon as the server hears of the stage. All is new and reported, or all is old and the reply said so."""
    new_image = gallery.push("2", IDLE)
    vpn = gallery.run("vpn")
    side = gallery.run("side", host={"network_mode": f"container:{vpn.id}"})
    async with AgentProcess(settings) as first:
        await first.says("catching_up -> following")
        host = await hub.host_online(END_S)

        def look(entry: Any) -> None:
            payload = entry.frame.get("payload")
            if isinstance(payload, dict) and payload.get("stage") == stage:
                forget()
                first.send_signal(signal.SIGKILL)

        forget = hub.listen(look)
        asking = hub.update_container(host.id, vpn.id, new_image, stop_timeout=5)
        updating = asyncio.get_running_loop().create_task(asking)
        await first.ends(within_s=END_S)
    async with AgentProcess(settings) as second:
        async with asyncio.timeout(END_S):
            result = await updating
        if not result.success:
            assert stage in ("pulling", "configuring")
            await second.says("registering -> connected")
    assert gallery.left_over(vpn.name, side.name) == []
    after = gallery.inspect(vpn.name)
    assert result.container_id == after["Id"][:12]
    assert (after["Id"] != vpn.id) is result.success
    joined = gallery.inspect(side.name)
    assert joined["HostConfig"]["NetworkMode"] == f"container:{after['Id']}"
    assert (after["State"]["Status"], joined["State"]["Status"]) == ("running", "running")
    assert len(hub.updates.completed) == result.success
    assert hub.complaints == []
