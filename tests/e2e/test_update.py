"""The agent's own update: in place, told once, and what may be updated to."""

from __future__ import annotations

import pytest
from e2e.box import Box
from e2e.cli import docker
from e2e.registrations import Registrations
from e2e.updating import Updating, updating
from e2e.workshop import Workshop

from agent import __version__
from agent.hub.server import Hub

NEW = "3.1.0"
GO_AGENT = "ghcr.io/darthnorse/dockmon-agent:2.2.0"
HARDENED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),  # noqa: S108  in the container
    *("--security-opt", "no-new-privileges", "--user", "1000"),
)


STAGES = (
    *("prepare", "resolve", "pull", "check", "extract"),
    *("verify", "install", "self_check", "await_answer", "drain", "switch"),
)


@pytest.fixture(scope="module")
def new_release(workshop: Workshop) -> str:
    """A good release, newer than the one in the image."""
    return workshop.publish(workshop.release(NEW), NEW)


@pytest.fixture
async def host(box: Box, registrations: Registrations, updatable: str) -> Updating:
    """An agent that may update itself, in the usual form."""
    return await updating(box, registrations, updatable)


@pytest.mark.protocol("self_update", "selfupdate_progress")
async def test_in_place(host: Updating, hub: Hub, new_release: str) -> None:
    """The version changes; the container, its start and its host do not; the result is told once, then never again."""
    before = await host.agent.inspect()
    assert host.host.registration["capabilities"]["self_update"] is True
    assert await host.update(new_release) == NEW
    assert (await host.outcome())["outcome"] == "updated"
    after = await host.agent.inspect()
    for key in ("Id", "Created", "Name", "Image", "RestartCount"):
        assert after[key] == before[key]
    for key in ("StartedAt", "Pid", "Running"):
        assert after["State"][key] == before["State"][key]
    assert len(hub.hosts) == 1
    await host.nothing_is_left()
    left = await host.look()
    assert len(left.slots) == 1

    await host.completion_told()
    assert [told["stage"] for told in host.told()] == [*STAGES, "complete"]
    told = len(host.told())
    await host.agent.restart()
    assert await host.registrations.next() == NEW
    assert len(host.told()) == told


async def test_through_its_container(host: Updating, hub: Hub, new_release: str) -> None:
    """`update_container` for the agent's own container is a self-update, and the container stays the same."""
    await hub.ask(host.host.id, "list_containers")
    before = await host.agent.inspect()
    result = await hub.update_container(host.host.id, host.agent.id, new_release)
    assert (result.command, result.error) == ("self_update", None)
    assert await host.registrations.reach(2) == NEW
    assert (await host.agent.inspect())["State"]["StartedAt"] == before["State"]["StartedAt"]


async def test_without_any_privilege(
    box: Box, registrations: Registrations, updatable: str, new_release: str
) -> None:
    """So it is read-only, without capabilities and as uid 1000."""
    group = str(box.socket.stat().st_gid)
    host = await updating(box, registrations, updatable, *HARDENED, "--group-add", group)
    assert await host.update(new_release) == NEW
    await host.nothing_is_left()


async def test_there_and_back(host: Updating, workshop: Workshop, new_release: str) -> None:
    """A second update starts from the slot of the first, and the one before the last is kept to fall back to."""
    await host.update(new_release)
    await host.outcome()
    newer = workshop.publish(workshop.release("3.2.0"), "3.2.0")
    assert await host.update(newer) == "3.2.0"
    await host.outcome()
    await host.nothing_is_left()
    assert len((await host.look()).slots) == 2


async def test_the_button_of_the_other_product(host: Updating, hub: Hub) -> None:
    """The server's button offers the Go agent; that is refused with the name of the repository that would be taken."""
    text = await host.refused(GO_AGENT)
    assert "ghcr.io/darthnorse/dockmon-agent" in text
    assert "UPDATE_REPOSITORIES" in text
    assert not (await hub.update_agent(host.host.id, "2.2.0")).ok
    assert host.registrations.versions == [__version__]


@pytest.mark.parametrize(
    "reference", ["../../x:1", "127.0.0.1:5000/../x:1", "a b:1", "http://127.0.0.1/x:1", ""]
)
async def test_a_hostile_reference(host: Updating, reference: str) -> None:
    """What is no image reference reaches neither engine nor registry."""
    await host.refused(reference)
    assert host.registrations.versions == [__version__]


async def test_an_image_without_keys(
    box: Box, registrations: Registrations, workshop: Workshop, new_release: str
) -> None:
    """Without root keys nothing could vouch for a release: the capability is false, and the command is refused."""
    image = workshop.agent_image("-keyless", has_keys=False)
    host = await updating(box, registrations, image)
    assert host.host.registration["capabilities"]["self_update"] is False
    await host.refused(new_release)


async def test_the_same_command_twice(host: Updating, hub: Hub, new_release: str) -> None:
    """A command that comes again is answered as the first time, and updates nothing twice."""
    payload = {"image": new_release, "version": NEW, "binary_url": None, "checksum": None}
    host.command_id = "command-1"
    first = await hub.request(host.host.id, "self_update", payload, 150.0, "command-1")
    await host.registrations.reach(2)
    await host.outcome()
    assert await hub.request(host.host.id, "self_update", payload, 150.0, "command-1") == first
    assert host.registrations.versions == [__version__, NEW]


async def test_slots_do_not_need_the_image(host: Updating, new_release: str) -> None:
    """The image of the release is off the engine after the update, and the agent starts without it."""
    await host.update(new_release)
    await host.nothing_is_left()
    assert not await docker("images", "--quiet", new_release)
    await host.agent.restart()
    assert await host.registrations.next() == NEW
