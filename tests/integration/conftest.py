"""A real engine for every test in this folder; each runs on the real clock."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import docker
import pytest
from docker_registry import DockerRegistry
from engine import (
    IMAGE,
    NAME_PREFIX,
    Containers,
    OwnEngine,
    busybox_root,
    connect,
    find_engine,
    make_busybox_image,
    remove_project,
)
from integration.served import Served, serve

from agent.console.image_registry import ImageRegistry
from agent.hub.server import Hub


# On the module and not on collected items: which loop a test gets is asked before those are handed out.
@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makemodule() -> Generator[None, pytest.Module, pytest.Module]:
    module = yield
    module.add_marker(pytest.mark.real_time)
    module.add_marker(pytest.mark.engine)
    return module


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "own_engine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.own_engine)


@pytest.fixture(scope="session")
def engine_url() -> str:
    """The engine that a user's client would find: as `DOCKER_HOST` says, else at a default socket."""
    if url := find_engine():
        return url
    if named := os.environ.get("DOCKER_HOST"):
        pytest.fail(f"no Docker engine answers at DOCKER_HOST={named}")
    pytest.skip("no Docker engine answers: `make test-integration` starts one")


@pytest.fixture(scope="session")
def docker_client(engine_url: str) -> Iterator[docker.APIClient]:
    with contextlib.closing(connect(engine_url)) as client:
        yield client


@pytest.fixture(scope="session")
def busybox_image(docker_client: docker.APIClient) -> Iterator[str]:
    """A small labelled image that idles until it is stopped; gone when the tests are over."""
    # A tag of its own: another run of the tests on this engine must not lose its image when this one ends.
    repository, _ = IMAGE.split(":")
    image = make_busybox_image(docker_client, f"{repository}:{secrets.token_hex(4)}")
    yield image
    docker_client.remove_image(image, force=True)


@pytest.fixture
def containers(docker_client: docker.APIClient, busybox_image: str) -> Iterator[Containers]:
    """Throwaway containers, removed after the test."""
    made = Containers(docker_client, busybox_image)
    yield made
    made.remove_all()


@pytest.fixture
async def own_engine() -> AsyncIterator[OwnEngine]:
    """A running engine that the test may stop, kill and start, with the busybox image on it."""
    if obstacle := OwnEngine.obstacle():
        pytest.skip(obstacle)
    async with OwnEngine() as engine:
        yield engine


@pytest.fixture
def image_registry() -> Iterator[ImageRegistry]:
    """A registry that gives anybody what the test put into it."""
    with ImageRegistry(busybox_root()) as registry:
        yield registry


@pytest.fixture
async def docker_registry() -> AsyncIterator[DockerRegistry]:
    """A registry that asks who one is."""
    if obstacle := DockerRegistry.obstacle():
        pytest.skip(obstacle)
    async with DockerRegistry() as registry:
        yield registry


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    """A server that asks nothing by itself."""
    async with Hub(poll_s=None) as hub:
        yield hub


@pytest.fixture
def project(docker_client: docker.APIClient) -> Iterator[str]:
    """The name of a Compose project, of which nothing is left afterwards."""
    name = f"{NAME_PREFIX}{secrets.token_hex(4)}"
    yield name
    remove_project(docker_client, name)


@pytest.fixture
def settings(hub: Hub, engine_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of an agent that runs as a process of its own."""
    return {
        "DOCKMON_URL": hub.url,
        "REGISTRATION_TOKEN": hub.new_token(),
        "DOCKER_HOST": engine_url,
        "DATA_PATH": str(tmp_path),
        "RECONNECT_MAX": "1s",
    }


@pytest.fixture
async def served(hub: Hub, engine_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """A host on the engine that a user's client would find."""
    async with serve(hub, engine_url, tmp_path) as served:
        yield served
