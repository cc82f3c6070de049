"""A real engine behind our adapter does what the engine in memory does."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator

import docker
import pytest
from engine import IMAGE, NAME_PREFIX, Container, Containers, OwnEngine, connect, make_busybox_image
from engine_contract import EngineContract, Subject
from engine_objects_contract import (
    ImagesContract,
    NetworksContract,
    PrunesContract,
    RestartsContract,
    StatsContract,
    VolumesContract,
)
from terminal_contract import TerminalsContract

from agent.adapters.engine import DockerEngine, Endpoint
from agent.ports import Json

HELLO = ("sh", "-c", "echo hello; trap 'exit 0' TERM; sleep 3600 & wait")


@contextlib.asynccontextmanager
async def subject_on(
    url: str, client: docker.APIClient, image: str, containers: Containers
) -> AsyncIterator[Subject]:
    engine = DockerEngine(Endpoint.parse(url))
    made: dict[str, Container] = {}
    images: list[str] = []
    ours = secrets.token_hex(4)

    def add(name: str, *, running: bool = False) -> str:
        made[name] = (containers.run if running else containers.create)(name, HELLO)
        return made[name].id

    def add_dying(name: str, *, exit_code: int, policy: Json) -> str:
        command = ["sh", "-c", f"sleep 0.2; exit {exit_code}"]
        made[name] = containers.create(name, command, host={"restart_policy": policy})
        return made[name].id

    def add_image() -> str:
        repository, _ = IMAGE.split(":")
        images.append(make_busybox_image(client, f"{repository}:{secrets.token_hex(4)}"))
        return images[-1]

    def full_name(name: str) -> str:
        return made[name].name if name in made else f"{NAME_PREFIX}{name}-{ours}"

    try:
        yield Subject(engine, image, add, full_name, add_dying, add_image)
    finally:
        await engine.close()
        for each in images:
            with contextlib.suppress(docker.errors.NotFound):
                client.remove_image(each, force=True)


class TestDockerEngine(
    EngineContract,
    NetworksContract,
    VolumesContract,
    ImagesContract,
    StatsContract,
    RestartsContract,
    TerminalsContract,
):
    @pytest.fixture
    async def subject(
        self,
        engine_url: str,
        docker_client: docker.APIClient,
        busybox_image: str,
        containers: Containers,
    ) -> AsyncIterator[Subject]:
        async with subject_on(engine_url, docker_client, busybox_image, containers) as subject:
            yield subject


class TestOwnEngine(PrunesContract):
    """A prune takes whatever nobody uses, so the engine is one that nobody else has things on."""

    @pytest.fixture
    async def subject(self, own_engine: OwnEngine) -> AsyncIterator[Subject]:
        with contextlib.closing(connect(own_engine.url)) as client:
            containers = Containers(client)
            async with subject_on(own_engine.url, client, IMAGE, containers) as subject:
                yield subject
