"""The image as users run it: `make test-image` builds it, and says where it is."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
from docker_registry import DockerRegistry
from e2e.box import Box
from e2e.kills import Way, agent_points
from e2e.registrations import Registrations
from e2e.registry import OpenRegistry
from e2e.releases import Sources
from e2e.workshop import BAD_VERSION, GOOD_VERSION, Workshop
from engine import find_engine

from agent.hub.server import Hub


# On the module and not on collected items: which loop a test gets is asked before those are handed out.
@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makemodule() -> Generator[None, pytest.Module, pytest.Module]:
    module = yield
    for mark in (pytest.mark.real_time, pytest.mark.engine, pytest.mark.image):
        module.add_marker(mark)
    return module


@pytest.fixture(scope="session")
def image() -> str:
    """The image under test, without root keys."""
    if built := os.environ.get("DOCKMON_TEST_IMAGE"):
        return built
    pytest.skip("the image was not built: `make test-image` builds it")


@pytest.fixture(scope="session")
def engine_socket(image: str) -> Path:
    """The socket of the engine that a user's client would find."""
    url = find_engine()
    if url is None:
        pytest.skip("no Docker engine answers: `make test-image` starts one")
    if not url.startswith("unix://"):
        pytest.skip(f"the engine at {url} is on another machine, which has no way to our hub")
    return Path(url.removeprefix("unix://"))


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    """A server that asks nothing by itself. What it dislikes is a failure."""
    async with Hub(poll_s=None) as hub:
        yield hub
    assert hub.complaints == []


@pytest.fixture
def registrations(hub: Hub) -> Iterator[Registrations]:
    """Who registered with the hub."""
    registrations = Registrations(hub)
    yield registrations
    registrations.forget()


@pytest.fixture
async def box(image: str, hub: Hub, engine_socket: Path) -> AsyncIterator[Box]:
    """Makes agents in containers, and removes them with their volumes."""
    async with Box(image, hub, engine_socket) as box:
        yield box


@pytest.fixture(scope="session")
def registry() -> Iterator[OpenRegistry]:
    """A registry from which anybody may pull."""
    if obstacle := DockerRegistry.obstacle():
        pytest.skip(obstacle)
    with OpenRegistry() as registry:
        yield registry


@pytest.fixture(scope="session")
def workshop(
    image: str, registry: OpenRegistry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workshop]:
    """Makes releases, and images of them."""
    if not agent_points():
        pytest.skip("the agent does not carry out its own update yet: no step of it is marked")
    directory = tmp_path_factory.mktemp("workshop")
    with Workshop(image, directory, registry.address) as workshop:
        yield workshop


@pytest.fixture(scope="session")
def updatable(workshop: Workshop) -> str:
    """The agent's image, with a root key in it."""
    return workshop.agent_image()


@pytest.fixture(scope="session")
def faulty(workshop: Workshop) -> str:
    """The same, with fault points that can be armed."""
    return workshop.agent_image("-faulty", faults=True)


@pytest.fixture(scope="session")
def releases(workshop: Workshop) -> dict[Way, str]:
    """A good release, and a bad one that exits at its start, both with fault points."""

    def exits(release: Sources) -> None:
        release.prepend(
            "start.py", "import sys\n\nif sys.argv[1:2] != ['self-check']:\n    sys.exit(3)\n"
        )

    good = workshop.release(GOOD_VERSION, faults=True)
    bad = workshop.release(BAD_VERSION, exits, faults=True)
    return {
        "good": workshop.publish(good, GOOD_VERSION),
        "bad": workshop.publish(bad, BAD_VERSION),
    }
