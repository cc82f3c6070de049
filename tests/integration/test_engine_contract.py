"""A real engine behind our adapter does what the engine in memory does."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import docker
import pytest
from engine import NAME_PREFIX, Container, Containers
from engine_contract import EngineContract, Subject

from agent.adapters.engine import DockerEngine, Endpoint

HELLO = ("sh", "-c", "echo hello; trap 'exit 0' TERM; sleep 3600 & wait")


class TestDockerEngine(EngineContract):
    @pytest.fixture
    async def subject(
        self,
        engine_url: str,
        docker_client: docker.APIClient,
        busybox_image: str,
        containers: Containers,
    ) -> AsyncIterator[Subject]:
        engine = DockerEngine(Endpoint.parse(engine_url))
        made: dict[str, Container] = {}
        ours = secrets.token_hex(4)

        def add(name: str, *, running: bool = False) -> str:
            made[name] = (containers.run if running else containers.create)(name, HELLO)
            return made[name].id

        def full_name(name: str) -> str:
            if name in made:
                return made[name].name
            return f"{NAME_PREFIX}{name}-{ours}"

        yield Subject(engine, busybox_image, add, full_name)
        await engine.close()
