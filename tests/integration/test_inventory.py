"""The list of containers from memory, beside one that is asked for anew, after everything that can happen to one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import docker
import pytest
from engine import LABEL, NAME_PREFIX, Container, Containers
from features.asking import Asking

from agent.adapters.engine import DockerEngine, Endpoint
from agent.core.journal import FILTERS
from agent.features.inspections import Inspections
from agent.features.inventory import SETTLE_S, Inventory
from agent.ports import Json

FLIPPING = {"test": ["CMD-SHELL", "test ! -e /ill"], "interval": 10**9, "retries": 1}
"""Healthy until somebody makes the file."""

COMES_AND_GOES = ["sh", "-c", "exit 1"]


ANOTHER_POLICY: Any = {"Name": "unless-stopped", "MaximumRetryCount": 0}


class Scene(NamedTuple):
    client: docker.APIClient
    web: Container
    failing: Container
    network: str


def pull_apart(scene: Scene) -> None:
    scene.client.disconnect_container_from_network(scene.web.id, scene.network)


def put_together(scene: Scene) -> None:
    scene.client.connect_container_to_network(scene.web.id, scene.network)


def fall_ill(scene: Scene) -> None:
    made = scene.client.exec_create(scene.web.id, ["touch", "/ill"])
    scene.client.exec_start(made["Id"])


STEPS: list[Callable[[Scene], object]] = [
    lambda scene: scene.client.start(scene.web.id),
    lambda scene: scene.client.pause(scene.web.id),
    lambda scene: scene.client.unpause(scene.web.id),
    lambda scene: scene.client.rename(scene.web.id, f"{scene.web.name}-again"),
    pull_apart,
    put_together,
    fall_ill,
    lambda scene: scene.client.update_container(scene.web.id, restart_policy=ANOTHER_POLICY),
    lambda scene: scene.client.kill(scene.web.id),
    lambda scene: scene.client.restart(scene.web.id, timeout=1),
    lambda scene: scene.client.stop(scene.web.id, timeout=1),
    lambda scene: scene.client.start(scene.failing.id),
    lambda scene: scene.client.stop(scene.failing.id, timeout=1),
    lambda scene: scene.client.remove_container(scene.failing.id, force=True),
]


class Following:
    """Hands the engine's events on, as the agent does."""

    def __init__(self, inspections: Inspections, inventory: Inventory) -> None:
        self._inspections, self._inventory = inspections, inventory

    def event(self, event: Json) -> None:
        self._inspections.notice(event)
        self._inventory.invalidate(event)

    def ended(self, reason: str) -> None:
        raise AssertionError(reason)


@pytest.fixture
async def engine(engine_url: str) -> AsyncIterator[DockerEngine]:
    engine = DockerEngine(Endpoint.parse(engine_url))
    yield engine
    await engine.close()


@pytest.fixture
def network(docker_client: docker.APIClient, containers: Containers) -> Iterator[str]:
    name = f"{NAME_PREFIX}{secrets.token_hex(4)}"
    docker_client.create_network(name, labels={LABEL: "1"})
    yield name
    containers.remove_all()
    docker_client.remove_network(name)


async def test_whatever_happens(
    engine: DockerEngine, containers: Containers, docker_client: docker.APIClient, network: str
) -> None:
    """As soon as the dust has settled both say the same, and in all that time nothing wrong is remembered."""
    web = containers.create("web", host={"network_mode": network}, healthcheck=FLIPPING)
    policy = {"Name": "always"}
    failing = containers.create("failing", COMES_AND_GOES, host={"restart_policy": policy})
    scene = Scene(docker_client, web, failing, network)
    inspections = Inspections(engine)
    kept = Inventory(engine, inspections)
    reader = engine.read_events(FILTERS, Following(inspections, kept))
    kept.engine_came_back()

    async def listed(inventory: Inventory) -> list[Json]:
        entries = await Asking([inventory.handler()]).ask("list_containers")
        return [
            # "Up 3 seconds" may be said a little longer; what it says of health may not.
            {**each, "Status": "unhealthy" in each["Status"]}
            for each in entries
            if each["Id"] in (web.id, failing.id)
        ]

    try:
        for step in STEPS:
            step(scene)
            await listed(kept)  # by now it may be wrong, as the engine's own may be
            await asyncio.sleep(SETTLE_S)
            for _ in range(3):
                anew = Inventory(engine, Inspections(engine))
                ours, theirs = await listed(kept), await listed(anew)
                if ours != theirs and failing.id in str(ours):
                    continue  # it came or went between the two
                assert ours == theirs
                await asyncio.sleep(0.3)
    finally:
        reader.close()
