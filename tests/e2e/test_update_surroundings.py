"""Updates where the host makes it hard: full and odd volumes, damaged files, containers made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.box import Box
from e2e.changes import NEVER_REGISTERS, at_start
from e2e.disk import Disk
from e2e.registrations import Registrations
from e2e.updating import Updating, updating
from e2e.workshop import GOOD_VERSION, Workshop

from agent import __version__

NEWER = "3.2.0"
MIB = 1024 * 1024

MakeDisk = Callable[..., Disk]


@pytest.fixture(scope="module")
def good(workshop: Workshop) -> str:
    return workshop.publish(workshop.release(GOOD_VERSION), GOOD_VERSION)


@pytest.fixture(scope="module")
def newer(workshop: Workshop) -> str:
    return workshop.publish(workshop.release(NEWER), NEWER)


@pytest.fixture(scope="module")
def mute(workshop: Workshop) -> str:
    """A release that runs and never reaches the server."""
    release = workshop.release("3.1.2", at_start(NEVER_REGISTERS))
    return workshop.publish(release, "3.1.2")


@pytest.fixture
async def host(box: Box, registrations: Registrations, updatable: str) -> Updating:
    return await updating(box, registrations, updatable)


@pytest.fixture
def make_disk(image: str, tmp_path: Path) -> Iterator[MakeDisk]:
    """Makes a disk of a size, mounted with options."""
    if obstacle := Disk.obstacle():
        pytest.skip(obstacle)
    made: list[Disk] = []

    def make(*, size_bytes: int = 192 * MIB, options: str = "rw") -> Disk:
        directory = tmp_path / f"disk-{len(made)}"
        directory.mkdir()
        made.append(Disk(directory, size_bytes=size_bytes, options=options))
        return made[-1].__enter__()

    yield make
    for disk in made:
        disk.__exit__(None, None, None)


async def again(host: Updating, image: str, *flags: str) -> str:
    """The container is removed and made anew on its volume, as `docker compose up` does; the version that registers."""
    await host.agent.stop()
    count = len(host.registrations.versions)
    host.agent = await host.box.run(*flags, image=image, volume=host.agent.volume)
    return await host.registrations.reach(count + 1)


# The container is made anew


async def test_the_same_image(host: Updating, good: str, updatable: str) -> None:
    """The same image with other variables: the release that was updated to goes on."""
    await host.update(good)
    await host.outcome()
    assert await again(host, updatable, "--env", "LOG_LEVEL=debug") == GOOD_VERSION


@pytest.mark.parametrize("version", ["3.3.0", "2.9.0"], ids=["newer", "older"])
async def test_another_image(host: Updating, good: str, workshop: Workshop, version: str) -> None:
    """Another image is the operator's word: its release runs, be it newer or older, and the slots are gone."""
    await host.update(good)
    await host.outcome()
    image = workshop.agent_image(version=version)
    assert await again(host, image) == version
    await host.nothing_is_left()
    assert (await host.look()).slots == []


async def test_slots_are_ignored(host: Updating, good: str, updatable: str) -> None:
    """AGENT_IGNORE_SLOTS=1 runs what is in the image, and without it the slot is back."""
    await host.update(good)
    await host.outcome()
    assert await again(host, updatable, "--env", "AGENT_IGNORE_SLOTS=1") == __version__
    assert await again(host, updatable) == GOOD_VERSION


# What is on the volume is damaged


async def test_a_bit_flips_in_the_slot(host: Updating, good: str) -> None:
    """A slot that is not what its manifest says is not run: the image's release is."""
    await host.update(good)
    await host.outcome()
    flip = (
        "f=$(ls -d /data/update/slots/*)/site-packages/agent/cli.py; chmod u+w $f;"
        "printf X | dd of=$f bs=1 seek=40 conv=notrunc 2>/dev/null"
    )
    await host.box.fill(host.agent.volume, flip)
    await host.agent.restart()
    assert await host.registrations.reach(3) == __version__


async def test_a_bit_flips_in_the_second_slot(host: Updating, good: str, newer: str) -> None:
    """With an older slot to fall back to, that one runs."""
    await host.update(good)
    await host.outcome()
    await host.update(newer)
    await host.outcome()
    active = (await host.look()).state["active"]
    flip = (
        f"f=/data/update/slots/{active}/start.py; chmod u+w $f;"
        "printf X | dd of=$f bs=1 seek=40 conv=notrunc 2>/dev/null"
    )
    await host.box.fill(host.agent.volume, flip)
    await host.agent.restart()
    assert await host.registrations.reach(4) == GOOD_VERSION


async def test_a_torn_state(host: Updating, good: str) -> None:
    """The state before it is taken, which knows the same slot."""
    await host.update(good)
    await host.outcome()
    await host.box.fill(
        host.agent.volume, "cd /data/update; head -c 40 state.json >t; cat t >state.json"
    )
    await host.agent.restart()
    assert await host.registrations.reach(3) == GOOD_VERSION


async def test_no_state_at_all(host: Updating, good: str) -> None:
    """With both torn, what is in the image runs, and can be updated again."""
    await host.update(good)
    await host.outcome()
    await host.box.fill(
        host.agent.volume, "cd /data/update; echo x >state.json; echo x >state.json.1"
    )
    await host.agent.restart()
    assert await host.registrations.reach(3) == __version__
    assert await host.update(good) == GOOD_VERSION


# What the volume is


async def test_mounted_noexec(
    box: Box, registrations: Registrations, updatable: str, make_disk: MakeDisk, good: str
) -> None:
    """Native libraries could not be loaded from there: the capability is false, and the command says why."""
    volume = await make_disk(options="noexec").volume(box)
    host = await updating(box, registrations, updatable, volume=volume)
    assert host.host.registration["capabilities"]["self_update"] is False
    assert "noexec" in await host.refused(good)


async def test_too_small(
    box: Box, registrations: Registrations, updatable: str, make_disk: MakeDisk, good: str
) -> None:
    """Too little room is found before anything is extracted, and told with how much is needed."""
    volume = await make_disk(size_bytes=16 * MIB).volume(box)
    host = await updating(box, registrations, updatable, volume=volume)
    text = await host.refused(good)
    assert "space" in text or "room" in text
    await host.nothing_is_left()
    assert registrations.versions == [__version__]


async def test_belongs_to_somebody_else(
    box: Box, registrations: Registrations, updatable: str, good: str
) -> None:
    """Not started as root it cannot repair a directory of root's: it runs, and says that it does not update itself."""
    volume = await box.volume()
    await box.fill(volume, "mkdir -p /data/update; chown 0:0 /data/update; chmod 0700 /data/update")
    group = str(box.socket.stat().st_gid)
    flags = ("--user", "1000", "--group-add", group)
    host = await updating(box, registrations, updatable, *flags, volume=volume)
    assert host.host.registration["capabilities"]["self_update"] is False
    assert "chown" in await host.refused(good)


async def test_no_volume(box: Box, registrations: Registrations, updatable: str, good: str) -> None:
    """What it keeps would go with the container: it runs, and says what to mount."""
    host = await updating(box, registrations, updatable, volume="")
    assert host.host.registration["capabilities"]["self_update"] is False
    assert "no volume is mounted at /data" in await host.refused(good)


async def test_full_while_a_trial_waits(
    box: Box, registrations: Registrations, faulty: str, make_disk: MakeDisk, good: str
) -> None:
    """On a full disk the update is refused and the old release starts and runs; with room again it can be updated."""
    disk = make_disk(size_bytes=192 * MIB)
    host = await updating(box, registrations, faulty, volume=await disk.volume(box))
    fill = "dd if=/dev/zero of=/data/filler bs=64k 2>/dev/null || true"
    await host.box.fill(host.agent.volume, fill)
    await host.refused(good)
    assert registrations.versions == [__version__]
    await host.agent.restart()
    assert await registrations.reach(2) == __version__
    await host.box.fill(host.agent.volume, "rm /data/filler; sync --file-system /data")
    assert await host.update(good) == GOOD_VERSION


# While it is on trial


async def test_restarts_during_a_trial(host: Updating, mute: str) -> None:
    """Each restart of the container costs an attempt; after the third the old release is back."""
    asking = asyncio.get_running_loop().create_task(host.try_to(mute))
    for times in (1, 2, 3):
        await host.agent.says("(on trial) starts", times=times)
        await host.agent.restart()
    assert await host.registrations.reach(2) == __version__
    asking.cancel()  # nobody is there to answer
    await asyncio.wait({asking})
    assert (await host.outcome())["outcome"] == "rolled_back"


async def test_stop_during_a_trial(host: Updating, mute: str) -> None:
    """`docker stop` in a trial ends in good time, and the trial goes on at the next start."""
    asking = asyncio.get_running_loop().create_task(host.try_to(mute))
    await host.agent.says("(on trial) starts")
    assert await host.agent.stop() < 10
    asking.cancel()  # nobody is there to answer
    await asyncio.wait({asking})
    await host.agent.start()
    await host.agent.says("(on trial) starts", times=2)
