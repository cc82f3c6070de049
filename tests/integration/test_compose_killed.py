"""The agent is ended at any stage of a deployment: nothing goes on behind its back, and the server hears of the end."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import docker
import pytest
from integration.agent_process import AgentProcess

from agent.hub.deployments import DeployRequest
from agent.hub.server import Hub

END_S = 90.0

SERVICES = """\
services:
  db:
    image: IMAGE
    network_mode: none
    healthcheck: {test: ["CMD", "true"], interval: 1s}
  web:
    image: IMAGE
    network_mode: none
    depends_on: {db: {condition: service_healthy}}
    healthcheck: {test: ["CMD", "true"], interval: 1s}
"""


@pytest.mark.parametrize(
    ("stage", "signum"),
    [
        ("parsing", signal.SIGKILL),
        ("creating", signal.SIGKILL),
        ("starting", signal.SIGTERM),
        ("waiting_for_health", signal.SIGKILL),
        ("health_check", signal.SIGKILL),
    ],
)
async def test_an_agent_that_is_ended(
    hub: Hub,
    settings: dict[str, str],
    project: str,
    busybox_image: str,
    docker_client: docker.APIClient,
    tmp_path: Path,
    stage: str,
    signum: signal.Signals,
) -> None:
    """As soon as the server hears of the stage. Its wheel stops turning, and the same can be deployed again."""
    request = DeployRequest(
        project, SERVICES.replace("IMAGE", busybox_image), pull_images=False, health_timeout=30
    )
    async with AgentProcess(settings) as first:
        await first.says("catching_up -> following")
        host = await hub.host_online(END_S)

        def look(entry: Any) -> None:
            payload = entry.frame.get("payload")
            if isinstance(payload, dict) and payload.get("stage") == stage:
                forget()
                first.send_signal(signum)

        forget = hub.listen(look)
        deploying = asyncio.get_running_loop().create_task(hub.deploy(host.id, request))
        await first.ends(within_s=END_S)
    async with AgentProcess(settings) as second:
        await second.says("registering -> connected")
        deployment = await deploying
        await deployment.done(END_S)
        assert deployment.completions <= 1
        await second.says("catching_up -> following")
        again = await hub.deploy(host.id, request)
        await again.done(END_S)
        assert again.outcome == "running", again.error
    assert programs_of(project) == [], "one that nobody reads ends at its next word"
    assert left_in(tmp_path / "stacks") == [project]
    assert not any("docker" in name for name in left_in(tmp_path)), "credentials"
    assert hub.complaints == []


def left_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def programs_of(project: str) -> list[str]:
    """The command lines of Compose that still work on it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # gone meanwhile
            continue
        if "docker-compose" in words[0] and project in words:
            found.append(" ".join(words))
    return found
