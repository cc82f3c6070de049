"""The power goes at every named moment of an update: what only memory had is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.box import Box
from e2e.disk import Disk
from e2e.faults import Faults
from e2e.kills import LIKE_ANOTHER, Way, rows
from e2e.registrations import Registrations
from e2e.releases import Sources
from e2e.updating import Updating, updating
from e2e.workshop import GOOD_VERSION, Workshop

from agent import __version__

ROWS = [
    pytest.param(point, way, id=f"{point}, {way}")
    for point, way in rows()
    if point.partition(":")[0] not in LIKE_ANOTHER
]

SYNCS_NO_SLOT = """\
import ctypes
import os


class _Library(ctypes.CDLL):
    def __getattr__(self, name):
        return (lambda *_: 0) if name == "syncfs" else super().__getattr__(name)


def _fsync(file, _really=os.fsync):
    descriptor = file if isinstance(file, int) else file.fileno()
    if "/update/" not in os.readlink(f"/proc/self/fd/{descriptor}"):
        _really(descriptor)


ctypes.CDLL, os.fsync, os.fdatasync = _Library, _fsync, _fsync

"""


@pytest.fixture
def disk(image: str, tmp_path: Path) -> Iterator[Disk]:
    """Where the agent's data are."""
    if obstacle := Disk.obstacle():
        pytest.skip(obstacle)
    directory = tmp_path / "disks"
    directory.mkdir()
    with Disk(directory) as disk:
        yield disk


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    """On another disk, so that what it writes makes nothing durable by accident."""
    return Faults(tmp_path / "faults")


async def cut_at(
    point: str,
    reference: str,
    image: str,
    *,
    box: Box,
    registrations: Registrations,
    disk: Disk,
    faults: Faults,
) -> Updating:
    """An agent on what the disk had when the power went at `point` of an update to `reference`."""
    host = await updating(box, registrations, image, *faults.flags, volume=await disk.volume(box))
    faults.arm(point)
    asking = asyncio.get_running_loop().create_task(host.try_to(reference))
    await faults.held(asking)
    left = disk.cut()
    await host.agent.kill()
    await host.agent.ends()
    await host.loses_its_containers()
    asking.cancel()  # nobody is there to answer
    await asyncio.wait({asking})
    return await updating(box, registrations, image, volume=await left.volume(box))


@pytest.mark.parametrize(("point", "way"), ROWS)
async def test_cut_at(
    point: str,
    way: Way,
    box: Box,
    registrations: Registrations,
    disk: Disk,
    faults: Faults,
    agents: dict[Way, str],
    releases: dict[Way, str],
) -> None:
    """From what the disk has one of the two releases comes up, and nothing is left over."""
    host = await cut_at(
        point,
        releases[way],
        agents[way],
        box=box,
        registrations=registrations,
        disk=disk,
        faults=faults,
    )
    came = registrations.versions[-1]
    assert came in ({__version__, GOOD_VERSION} if way == "good" else {__version__})
    await host.nothing_is_left()


async def test_without_syncing_the_slot(
    box: Box,
    registrations: Registrations,
    disk: Disk,
    faults: Faults,
    workshop: Workshop,
    releases: dict[Way, str],
) -> None:
    """The harness has teeth: a slot that nobody synced is empty after the cut, and is caught when it is verified."""

    def forgets(release: Sources) -> None:
        release.prepend("start.py", SYNCS_NO_SLOT)

    image = workshop.agent_image("-unsynced", change=forgets, faults=True)
    host = await cut_at(
        "switch.recorded",
        releases["good"],
        image,
        box=box,
        registrations=registrations,
        disk=disk,
        faults=faults,
    )
    assert registrations.versions[-1] == __version__
    result = await host.outcome()
    assert result["outcome"] == "rolled_back"
    assert "manifest" in result["reason"]


@pytest.mark.parametrize("syncs", [True, False], ids=["as it is", "without syncing"])
async def test_without_syncing_the_state(
    syncs: bool,
    box: Box,
    registrations: Registrations,
    disk: Disk,
    faults: Faults,
    workshop: Workshop,
    releases: dict[Way, str],
) -> None:
    """The harness has teeth: what the launcher has written down for the switch is there; unsynced it is not."""

    def forgets(launcher: Sources) -> None:
        launcher.replace("agent/launcher/state_file.py", "os.fsync(", "(lambda _: 0)(")

    change = None if syncs else forgets
    image = workshop.agent_image(f"-syncs-{syncs}".lower(), launcher_change=change, faults=True)
    await cut_at(
        "switch.recorded",
        releases["good"],
        image,
        box=box,
        registrations=registrations,
        disk=disk,
        faults=faults,
    )
    assert registrations.versions == [__version__, GOOD_VERSION if syncs else __version__]
