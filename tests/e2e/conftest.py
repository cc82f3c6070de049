"""The image as users run it: `make test-image` builds it, and says where it is."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
from docker_registry import DockerRegistry
from e2e.box import Box
from e2e.changes import NEVER_REGISTERS, at_start, hurry
from e2e.kills import Way
from e2e.registrations import Registrations
from e2e.registry import OpenRegistry
from e2e.releases import Change
from e2e.workshop import BAD_VERSION, GOOD_VERSION, LATE_VERSION, Workshop
from engine import OwnEngine, find_engine

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


@pytest.fixture
async def own_engine(image: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OwnEngine]:
    """A running engine that the test may stop, kill and start. The docker command means this one."""
    if obstacle := OwnEngine.obstacle():
        pytest.skip(obstacle)
    async with OwnEngine() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.url)
        yield engine


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
def agents(workshop: Workshop, faulty: str) -> dict[Way, str]:
    """The agent's image to begin with, by where the update is to lead."""
    hasty = workshop.agent_image("-faulty-hasty", launcher_change=hurry, faults=True)
    return {"good": faulty, "bad": faulty, "late": hasty}


@pytest.fixture(scope="session")
def releases(workshop: Workshop) -> dict[Way, str]:
    """The release to update to, with fault points, by where that is to lead."""
    ways: dict[Way, tuple[str, Change | None]] = {
        "good": (GOOD_VERSION, None),
        "bad": (BAD_VERSION, at_start("sys.exit(3)")),
        "late": (LATE_VERSION, at_start(NEVER_REGISTERS)),
    }
    return {
        way: workshop.publish(
            # Of a tag that no other test publishes.
            workshop.release(version, change, faults=True),
            f"{version}-faulty",
            label=version,
        )
        for way, (version, change) in ways.items()
    }
