"""The engine is stopped, killed, or loses power with all that runs on it: the updated agent comes back by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from e2e.box import Box
from e2e.cli import docker
from e2e.loopback import Loopback
from e2e.registrations import Registrations
from e2e.registry import OpenRegistry
from e2e.updating import updating
from e2e.workshop import GOOD_VERSION, Workshop
from engine import OwnEngine

from agent.hub.server import Hub

TROUBLES: dict[str, Callable[[OwnEngine], Awaitable[None]]] = {
    "stopped": OwnEngine.stop,
    "killed": OwnEngine.kill,
    "cut off with its host": OwnEngine.cut_off,
}


@pytest.fixture(scope="module")
def good(workshop: Workshop) -> str:
    return workshop.publish(workshop.release(GOOD_VERSION), GOOD_VERSION)


@pytest.fixture(scope="module")
def saved(workshop: Workshop, updatable: str) -> Path:
    """The agent's image as a file."""
    return workshop.save(updatable)


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_the_engine(
    trouble: str,
    hub: Hub,
    registrations: Registrations,
    registry: OpenRegistry,
    updatable: str,
    good: str,
    saved: Path,
    own_engine: OwnEngine,
) -> None:
    """Under `--restart always` the release that was installed registers again, in the same container."""
    await docker("load", "--input", str(saved))
    ports = [int(address.rpartition(":")[2]) for address in (hub.url, registry.address)]
    async with Box(updatable, hub, own_engine.socket) as box:
        async with Loopback(own_engine.pid, ports):
            host = await updating(box, registrations, updatable, "--restart", "always")
            assert await host.update(good) == GOOD_VERSION
            await host.outcome()
            await TROUBLES[trouble](own_engine)
        await own_engine.start()
        async with Loopback(own_engine.pid, ports):
            assert await registrations.reach(3) == GOOD_VERSION
            await host.nothing_is_left()
            left = await host.look()
    assert left.state["active"] == left.slots[0]
