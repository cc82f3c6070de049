"""The features on a real engine: what the server sends becomes what the engine has, and back."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import docker
import pytest
from engine import NAME_PREFIX, Containers
from features.asking import COMMAND_ID, Asking

from agent.adapters.engine import DockerEngine, Endpoint
from agent.features.inspections import Inspections
from agent.features.inventory import Inventory
from agent.features.logs import get_logs
from agent.features.operations import COMMAND_LABEL, operations

SPEAK = ["sh", "-c", "echo one; echo two >&2; trap 'exit 0' TERM; sleep 3600 & wait"]


@pytest.fixture
async def agent(engine_url: str) -> AsyncIterator[Asking]:
    engine = DockerEngine(Endpoint.parse(engine_url))
    changes = operations(engine, None, detach=lambda job, _: job.close())
    inventory = Inventory(engine, Inspections(engine))
    yield Asking([*changes, get_logs(engine), inventory.handler()])
    await engine.close()


async def test_a_container_from_its_creation_to_its_end(agent: Asking, busybox_image: str) -> None:
    """Created as the SDK would, found by its label, listed, read, stopped, removed."""
    name = f"{NAME_PREFIX}made-{secrets.token_hex(4)}"
    config = {
        "image": busybox_image,
        "name": name,
        "command": SPEAK,
        "environment": {"TZ": "UTC", "WORKERS": 4},
        "ports": {"80/tcp": ["127.0.0.1", 0], "53/udp": None},
        "volumes": {"/etc/hostname": {"bind": "/etc/host", "mode": "ro"}},
        "labels": {"a": "b"},
        "restart_policy": {"Name": "on-failure", "MaximumRetryCount": 2},
        "network_mode": "none",
        "mem_limit": "64m",
        "cap_drop": ["ALL"],
        "tmpfs": ["/cache"],
        "ulimits": [{"name": "nofile", "soft": 256, "hard": 512}],
        "healthcheck": {"test": ["NONE"]},
        "log_config": {"type": "json-file", "config": {"max-size": "1m"}},
        "sysctls": None,
        "detach": True,
    }
    entry = agent.entry("create", config=config)
    made = (await agent.ask("create", config=config))["container_id"]
    try:
        assert await agent.probe(entry) == {"container_id": made}
        assert await agent.ask("get_status", container_id=made) == {"status": "created"}

        inspected = (await agent.ask("inspect", container_id=made))["container"]
        host = inspected["HostConfig"]
        assert inspected["Config"]["Labels"] == {"a": "b", "dockmon-agent.test": "1"} | {
            COMMAND_LABEL: COMMAND_ID
        }
        assert host["Memory"] == 64 << 20
        assert host["Binds"] == ["/etc/hostname:/etc/host:ro"]
        assert host["PortBindings"]["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "0"}]
        assert host["Ulimits"] == [{"Name": "nofile", "Soft": 256, "Hard": 512}]

        began = agent.entry("start", container_id=made)
        assert await agent.probe(began) is None
        await agent.ask("start", container_id=made)
        assert await agent.probe(began) == {"container_id": made, "status": "started"}
        reply = await agent.ask("verify_running", container_id=made, max_wait_seconds=10)
        assert reply == {"is_healthy": True}

        listed = next(
            item for item in await agent.ask("list_containers") if item["Id"].startswith(made)
        )
        assert listed["Names"] == [f"/{name}"]
        assert listed["HostConfig"]["RestartPolicy"]["Name"] == "on-failure"
        assert (listed["Env"]["TZ"], listed["Env"]["WORKERS"]) == ("UTC", "4")
        assert listed["StartedAt"].endswith("Z")

        logs = (await agent.ask("get_logs", container_id=made, tail=10))["logs"]
        assert {line.partition(" ")[2] for line in logs.split("\n")} == {"one", "two"}

        restart = agent.entry("restart", container_id=made)
        assert await agent.probe(restart) is None
        await agent.ask("restart", container_id=made, timeout=5)
        assert await agent.probe(restart) == {"status": "restarted"}
        await agent.ask("stop", container_id=made, timeout=5)
        assert await agent.ask("get_status", container_id=made) == {"status": "exited"}
    finally:
        assert await agent.ask("remove", container_id=made, force=True) == {"removed": True}


async def test_an_image_whose_tag_moved_on(
    agent: Asking,
    busybox_image: str,
    containers: Containers,
    docker_client: docker.APIClient,
) -> None:
    """The engine lists the image's ID then; the server is told the name it was made from."""
    repository, _ = busybox_image.split(":")
    tag = secrets.token_hex(4)
    docker_client.tag(busybox_image, repository, tag)
    made = containers.create(image=f"{repository}:{tag}")
    docker_client.remove_image(f"{repository}:{tag}", noprune=True, force=True)
    [raw] = docker_client.containers(all=True, filters={"id": made.id})
    assert raw["Image"].startswith("sha256:")
    listed = next(item for item in await agent.ask("list_containers") if item["Id"] == made.id)
    assert listed["Image"] == f"{repository}:{tag}"
