"""Deployments with the real Docker Compose on a real engine, from the command to the queued result."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker_registry import PASSWORD, USER, DockerRegistry
from engine import IDLE, NAME_PREFIX, remove_project
from fakes.channel import FakeChannel
from fakes.store import MemoryStore
from runtime.kitchen import Kitchen

from agent.adapters.compose import DockerCompose, candidates, find_compose
from agent.adapters.engine import DockerEngine, Endpoint
from agent.adapters.stack_files import StackFiles
from agent.clock import utcnow
from agent.core.compose.request import DeployRequest
from agent.features.compose import Deployments
from agent.ports import CommandFailed, Json, Services

RESULT_S = 60.0


class World:
    """A project of its own on the real engine. `path` is where its files are stored."""

    def __init__(
        self, deployments: Deployments, store: MemoryStore, stacks: StackFiles, image: str
    ) -> None:
        self.deployments, self.store, self.image = deployments, store, image
        self.project = f"{NAME_PREFIX}{secrets.token_hex(4)}"
        self.path = Path(stacks.place(self.project))
        self._numbers = itertools.count(1)

    async def deployed(self, services: str, **more: Any) -> Json:
        """Deploys `services`, YAML with IMAGE for the image and two spaces before each line, and returns the result."""
        command_id = f"command {next(self._numbers)}"
        await self.deploy(self.content(services), command_id=command_id, **more)
        async with asyncio.timeout(RESULT_S):
            while (row := self.store.rows.get(f"deploy_complete:{command_id}")) is None:
                await asyncio.sleep(0.05)
        return row.payload

    async def deploy(self, content: str, *, command_id: str = "command", **more: Any) -> None:
        [handler] = self.deployments.handlers()
        payload = {
            "deployment_id": "h:paper:01234567",
            "project_name": self.project,
            "compose_content": content,
            "action": "up",
            **more,
        }
        await handler.run(DeployRequest.model_validate(payload), command_id)

    def content(self, services: str) -> str:
        return f"services:\n{services}".replace("IMAGE", self.image)


@pytest.fixture
async def compose(engine_url: str) -> DockerCompose:
    found, why_not = await find_compose(candidates(os.environ), Endpoint.parse(engine_url))
    if found is None:
        pytest.skip(why_not)
    return found


@pytest.fixture
def host_stacks_dir(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """Where the host has the stacks, if that is not where they are; `parametrize` names it, within `tmp_path`."""
    return str(tmp_path / request.param) if hasattr(request, "param") else None


@pytest.fixture
async def world(
    compose: DockerCompose,
    engine_url: str,
    busybox_image: str,
    tmp_path: Path,
    host_stacks_dir: str | None,
) -> AsyncIterator[World]:
    engine, store = DockerEngine(Endpoint.parse(engine_url)), MemoryStore()
    stacks = StackFiles(tmp_path / "stacks")
    assert await stacks.obstacle() == ""
    kitchen = Kitchen(strict=False)
    async with kitchen.running() as runtime:
        services = Services(
            engine=engine,
            store=store,
            channel=FakeChannel(),
            clock=utcnow,
            rng=random.Random(1),
            detach=runtime.detach,
            conduct=runtime.conduct,
            news=lambda: None,
            self_update=_no_update,
        )
        deployments = Deployments(services, compose, stacks, host_stacks_dir=host_stacks_dir)
        yield World(deployments, store, stacks, busybox_image)
    await engine.close()
    stacks.close()


@pytest.fixture(autouse=True)
def clean(world: World, docker_client: docker.APIClient) -> Iterator[None]:
    yield
    remove_project(docker_client, world.project)


def labels_of(docker_client: docker.APIClient, container: str) -> dict[str, str]:
    labels: dict[str, str] = docker_client.inspect_container(container)["Config"]["Labels"]
    return labels


WEB = "  web: {image: IMAGE, network_mode: none}\n"


async def test_from_up_to_down(world: World, docker_client: docker.APIClient) -> None:
    """Brought up, brought up again without a change, restarted, taken down with its volumes and its directory."""
    services = (
        "  web: {image: IMAGE, network_mode: none, volumes: ['data:/d']}\nvolumes: {data: {}}\n"
    )
    first = (await world.deployed(services))["services"]["web"]
    again = (await world.deployed(services, force_recreate=False))["services"]["web"]
    assert again["container_id"] == first["container_id"]
    assert again["container_name"] == f"{world.project}-web-1"
    forced = (await world.deployed(services, force_recreate=True))["services"]["web"]
    restarted = (await world.deployed(services, action="restart"))["services"]["web"]
    assert len({each["container_id"] for each in (first, forced, restarted)}) == 3

    labels = labels_of(docker_client, restarted["container_id"])
    assert labels["com.docker.compose.project.working_dir"] == str(world.path)
    assert labels["com.docker.compose.project.config_files"] == str(
        world.path / "docker-compose.yml"
    )
    assert labels["com.docker.compose.oneoff"] == "False"

    down = await world.deployed(services, action="down", remove_volumes=True)
    assert (down["success"], down["services"]) == (True, {})
    mine = {"label": [f"com.docker.compose.project={world.project}"]}
    assert not docker_client.containers(all=True, filters=mine)
    assert not docker_client.volumes(filters=mine)["Volumes"]
    assert not world.path.exists()


async def test_env_files_and_profiles(world: World, docker_client: docker.APIClient) -> None:
    """`.env` is what the project is interpolated with, others are for services; dollars and quotes arrive as meant."""
    services = (
        "  web:\n"
        "    image: IMAGE\n"
        "    network_mode: none\n"
        "    env_file: web.env\n"
        "    environment: {FROM_ENV: '${WORD}', HOST: '${DOCKER_HOST_NAME:-none}', PRICE: '5$$'}\n"
        "  debug: {image: IMAGE, network_mode: none, profiles: [debug]}\n"
        "  other: {image: IMAGE, network_mode: none, profiles: [other]}\n"
    )
    env_files = {".env": 'export WORD="two words" # said\n', "web.env": "QUOTED='a $b'\n"}
    result = await world.deployed(services, env_files=env_files, profiles=["debug"])
    assert set(result["services"]) == {"web", "debug"}
    web = docker_client.inspect_container(result["services"]["web"]["container_id"])
    assert {"FROM_ENV=two words", "HOST=none", "PRICE=5$", "QUOTED=a $b"} <= {*web["Config"]["Env"]}
    modes = {path.name: path.stat().st_mode & 0o777 for path in world.path.iterdir()}
    assert modes == {"docker-compose.yml": 0o644, ".env": 0o600, "web.env": 0o600}


async def test_a_service_that_fails_and_one_that_ends(world: World) -> None:
    """One that exits with 0 is fine, one with another code is not: a partial success."""
    services = (
        WEB
        + "  job: {image: IMAGE, network_mode: none, command: ['true']}\n"
        + "  bad: {image: IMAGE, network_mode: none, command: ['sh', '-c', 'exit 3']}\n"
    )
    result = await world.deployed(services, wait_for_healthy=True)
    assert (result["success"], result["partial_success"]) == (False, True)
    assert result["failed_services"] == ["bad"]
    assert result["services"]["job"]["status"] == "exited"
    assert result["services"]["bad"]["exit_code"] == 3


async def test_healthy_replicas(world: World) -> None:
    """All replicas have to be healthy; one entry stands for them."""
    services = (
        "  web:\n"
        "    image: IMAGE\n"
        "    network_mode: none\n"
        "    scale: 2\n"
        "    healthcheck: {test: ['CMD', 'true'], interval: 1s}\n"
    )
    result = await world.deployed(services, wait_for_healthy=True)
    assert result["success"]
    assert list(result["services"]) == ["web"]


async def test_a_first_deployment_that_fails(world: World, docker_client: docker.APIClient) -> None:
    """A container that cannot be started: what had been made is gone again, and the reason is the engine's own."""
    services = WEB + "  bad: {image: IMAGE, network_mode: none, command: ['/no/such/program']}\n"
    result = await world.deployed(services)
    assert (result["success"], result["services"]) == (False, {})
    assert "/no/such/program" in result["error"]
    mine = {"label": [f"com.docker.compose.project={world.project}"]}
    assert not docker_client.containers(all=True, filters=mine)


async def test_a_redeployment_that_fails(world: World) -> None:
    """What ran before still does."""
    first = (await world.deployed(WEB))["services"]["web"]
    services = WEB + "  bad: {image: IMAGE, network_mode: none, command: ['/no/such/program']}\n"
    result = await world.deployed(services)
    assert not result["success"]
    assert result["services"]["web"]["container_id"] == first["container_id"]
    assert result["services"]["web"]["status"] == "running"


async def test_an_image_that_is_nowhere(world: World) -> None:
    """A pull that fails touches nothing."""
    first = (await world.deployed(WEB))["services"]["web"]
    services = "  web: {image: 'localhost:1/no/such:1', network_mode: none}\n"
    result = await world.deployed(services, pull_images=True)
    assert result["error"].startswith("pulling: ")
    assert result["services"]["web"]["container_id"] == first["container_id"]


async def test_a_registry_that_asks_for_credentials(
    world: World, docker_client: docker.APIClient, docker_registry: DockerRegistry
) -> None:
    """The one stored for it is used, and no other; without one, the registry's own words come back."""
    reference = docker_registry.push(docker_client, "paper:1", IDLE, base=world.image)
    services = f"  web: {{image: '{reference}', network_mode: none}}\n"
    refused = await world.deployed(services, pull_images=True)
    assert refused["error"].startswith("pulling: ")
    assert "no basic auth credentials" in refused["error"]

    host = reference.partition("/")[0]
    credentials = [
        {"registry_url": "", "username": "somebody", "password": "else"},
        {"registry_url": f"http://{host}/", "username": USER, "password": PASSWORD},
    ]
    try:
        result = await world.deployed(services, pull_images=True, registry_credentials=credentials)
        assert result["success"]
        assert result["services"]["web"]["image"] == reference
    finally:
        docker_client.remove_image(reference, force=True)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("services: [", "docker-compose.yml: yaml: line 1"),
        ("services: {web: {image: '${NO_SUCH:?is needed}'}}", "is needed"),
        ("services: {web: {image: x, env_file: none.env}}", "env file none.env not found"),
        ("services: {web: {build: .}}", "service web is built from source"),
        ("services: {web: {image: x, volumes: ['~/d:/d']}}", "service web: write the whole path"),
    ],
)
async def test_a_project_that_is_not_sound(world: World, content: str, error: str) -> None:
    """The reply says why, in the project's own terms; the stored file is as it was, and nothing else is left."""
    await world.deployed(WEB)
    stored = (world.path / "docker-compose.yml").read_text()
    with pytest.raises(CommandFailed) as refused:
        await world.deploy(content)
    assert error in str(refused.value)
    assert ".new" not in str(refused.value)
    assert (world.path / "docker-compose.yml").read_text() == stored
    assert [path.name for path in world.path.parent.iterdir()] == [world.project]


async def test_a_relative_bind(world: World) -> None:
    """It is a directory beside the stored file, and what is in it stays when the project is deployed anew."""
    services = (
        "  web:\n"
        "    image: IMAGE\n"
        "    network_mode: none\n"
        "    command: ['sh', '-c', 'echo here >> /d/file']\n"
        "    volumes: ['./data:/d']\n"
    )
    for _ in range(2):
        assert (await world.deployed(services, wait_for_healthy=True))["success"]
    assert (world.path / "data" / "file").read_text() == "here\n" * 2


@pytest.mark.parametrize("host_stacks_dir", ["as the host has it"], indirect=True)
async def test_as_from_a_container(
    world: World, docker_client: docker.APIClient, host_stacks_dir: str
) -> None:
    """The engine is given the host's own paths where ours are others; the files need not be there for us."""
    services = (
        "  web:\n"
        "    image: IMAGE\n"
        "    network_mode: none\n"
        "    volumes: ['./data:/d']\n"
        "    environment: {PRICE: '5$$'}\n"
        "    profiles: [debug]\n"
    )
    result = await world.deployed(services, profiles=["debug"])
    web = docker_client.inspect_container(result["services"]["web"]["container_id"])
    place = f"{host_stacks_dir}/{world.project}"
    assert [mount["Source"] for mount in web["Mounts"]] == [f"{place}/data"]
    assert "PRICE=5$" in web["Config"]["Env"]
    assert web["Config"]["Labels"]["com.docker.compose.project.working_dir"] == place
    assert not (world.path / "data").exists()


async def test_compose_does_not_see_our_environment(
    world: World, docker_client: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project that names a variable of ours gets nothing: it may be a token."""
    monkeypatch.setenv("PERMANENT_TOKEN", "hush")
    services = (
        "  web: {image: IMAGE, network_mode: none, environment: {T: '${PERMANENT_TOKEN:-none}'}}\n"
    )
    result = await world.deployed(services)
    web = docker_client.inspect_container(result["services"]["web"]["container_id"])
    assert "T=none" in web["Config"]["Env"]


@pytest.mark.parametrize(
    "line", ['PASSWORD="hush', "PASSWORD=hu${sh", "hush!=1"], ids=["quote", "template", "name"]
)
async def test_an_env_file_that_cannot_be_read(world: World, line: str) -> None:
    """The line is named and not shown: it may be the one with the password, and errors get into logs."""
    with pytest.raises(CommandFailed, match=r"^failed to read \.env: ") as refused:
        await world.deploy(world.content(WEB), env_file_content=f"A=1\n{line}\n")
    assert "hu" not in str(refused.value)


async def test_settings_of_composes_own(world: World) -> None:
    """What a project's `.env` would set of Compose itself does not keep it from being deployed as asked."""
    await world.deployed(WEB + "  old: {image: IMAGE, network_mode: none}\n")
    hostile = (
        "COMPOSE_IGNORE_ORPHANS=true\nCOMPOSE_PROJECT_NAME=another\nCOMPOSE_FILE=/etc/hosts\n"
        "DOCKER_HOST=tcp://127.0.0.1:1\n"
    )
    result = await world.deployed(WEB, env_file_content=hostile)
    assert (result["success"], list(result["services"])) == (True, ["web"])


async def test_what_never_was(world: World) -> None:
    """It can be taken down: nothing of it is there afterwards, which is what was asked for."""
    result = await world.deployed(WEB, action="down", remove_volumes=True)
    assert (result["success"], result["services"]) == (True, {})


async def test_a_stack_that_is_not_stored(world: World) -> None:
    """It can be taken down: the labels of its containers say what belongs to it."""
    await world.deployed(WEB)
    with contextlib.suppress(FileNotFoundError):
        (world.path / "docker-compose.yml").unlink()
    assert (await world.deployed("  web: {build: .}\n", action="down"))["services"] == {}


async def _no_update(_: object) -> Json:
    raise AssertionError("nobody asked for one")
