"""A gallery of bad releases: where each is caught, and that the old one goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from e2e.box import Box
from e2e.changes import NEVER_REGISTERS, at_start, hurry
from e2e.registrations import Registrations
from e2e.releases import Change, Release, Signer, Sources
from e2e.updating import Updating, updating
from e2e.workshop import Workshop

from agent import __version__

VERSION = "3.1.0"


@pytest.fixture(scope="module")
def hasty(workshop: Workshop) -> str:
    """The agent's image, with a trial that is soon over."""
    return workshop.agent_image("-hasty", launcher_change=hurry)


@pytest.fixture
async def host(box: Box, registrations: Registrations, hasty: str) -> Updating:
    return await updating(box, registrations, hasty)


# On trial: it was staged and looked good.

TAKEN_BACK = [
    pytest.param(at_start("sys.exit(3)"), "exited with 3", id="exits"),
    pytest.param(at_start("os.kill(os.getpid(), signal.SIGSEGV)"), "SIGSEGV", id="segfaults"),
    pytest.param(at_start(NEVER_REGISTERS), "", id="cannot reach the server"),
    pytest.param(
        at_start("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    while True: pass"),
        "",
        id="is busy and ignores SIGTERM",
    ),
]


@pytest.mark.parametrize(("change", "reason"), TAKEN_BACK)
async def test_taken_back(
    host: Updating, workshop: Workshop, change: Change, reason: str, request: pytest.FixtureRequest
) -> None:
    """The old release is back in the same container, and the server is told why the new one is not."""
    before = await host.agent.inspect()
    reference = workshop.publish(workshop.release(VERSION, change), VERSION)
    assert await host.update(reference) == __version__
    result = await host.outcome()
    assert result["outcome"] == "rolled_back"
    assert reason in result["reason"]
    assert reason in await host.error_told()
    after = await host.agent.inspect()
    assert after["State"]["StartedAt"] == before["State"]["StartedAt"]
    assert after["RestartCount"] == 0
    await host.nothing_is_left()


async def test_not_twice_by_itself(host: Updating, workshop: Workshop) -> None:
    """The same bad build is tried again for a new command only."""
    reference = workshop.publish(workshop.release(VERSION, at_start("sys.exit(3)")), VERSION)
    assert await host.update(reference) == __version__
    await host.outcome()
    assert await host.update(reference) == __version__
    assert (await host.outcome())["outcome"] == "rolled_back"


# Refused: it never runs.


def unseal(release: Release) -> None:
    """One byte more than its manifest says."""
    path = release.directory / "site-packages/agent/cli.py"
    path.write_text(path.read_text() + "\n")


def add_a_file(release: Release) -> None:
    (release.directory / "site-packages/extra.py").write_text("")


def drop_a_file(release: Release) -> None:
    (release.directory / "site-packages/agent/cli.py").unlink()


def add_a_link(release: Release) -> None:
    (release.directory / "site-packages/link").symlink_to("/etc/passwd")


def drop_native(release: Sources) -> None:
    """As a wheel of another machine would be: there, but not to be loaded."""
    for library in release.directory.glob("site-packages/pydantic_core/*.so"):
        library.unlink()


AFTER_SEALING: list[Any] = [
    pytest.param(unseal, "cli.py", id="a file differs from the manifest"),
    pytest.param(add_a_file, "extra.py", id="a file that is not in the manifest"),
    pytest.param(drop_a_file, "cli.py", id="a file is missing"),
    pytest.param(add_a_link, "link", id="a symbolic link"),
]


@pytest.mark.parametrize(("change", "named"), AFTER_SEALING)
async def test_not_what_was_sealed(
    host: Updating, workshop: Workshop, change: Callable[[Release], None], named: str
) -> None:
    """What differs from the signed manifest is refused with the name of the file, and the old release goes on."""
    release = workshop.release(VERSION)
    change(release)
    assert named in await host.refused(workshop.publish(release, VERSION))
    await _goes_on(host)


MANIFESTS: list[Any] = [
    pytest.param({"python": "cpython-399-x86_64-linux-gnu"}, "docker", id="another Python"),
    pytest.param({"libc": "glibc-9.99"}, "docker", id="a newer libc"),
    pytest.param({"min_launcher": 2}, "docker", id="a newer launcher"),
    pytest.param({"platform": "linux/s390x"}, "s390x", id="another platform"),
    pytest.param({"format": 2}, "", id="another format"),
    pytest.param({"version": "9.9.9"}, "9.9.9", id="another version inside"),
]


@pytest.mark.parametrize(("manifest", "named"), MANIFESTS)
async def test_does_not_fit(
    host: Updating, workshop: Workshop, manifest: dict[str, Any], named: str
) -> None:
    """What cannot run here is refused; where a new container would help, with the command that makes it."""
    release = workshop.release(VERSION, **manifest)
    assert named in await host.refused(workshop.publish(release, VERSION))
    await _goes_on(host)


async def test_other_data(host: Updating, workshop: Workshop) -> None:
    """What cannot read our data is refused; the old release goes on."""
    release = workshop.release(VERSION, data_schema={"reads": [99], "writes": 99})
    assert "cannot read the data" in await host.refused(workshop.publish(release, VERSION))
    await _goes_on(host)


async def test_a_native_library_is_missing(host: Updating, workshop: Workshop) -> None:
    """The release checks itself before anything is switched, and fails."""
    release = workshop.release(VERSION, drop_native)
    assert "pydantic_core" in await host.refused(workshop.publish(release, VERSION))
    await _goes_on(host)


async def test_the_label_says_another_version(host: Updating, workshop: Workshop) -> None:
    """An image whose label is another version than the command's is refused before anything is extracted."""
    reference = workshop.publish(workshop.release(VERSION), VERSION, label="9.9.9")
    assert "9.9.9" in await host.refused(reference)
    await _goes_on(host)


async def test_no_such_tag(host: Updating, workshop: Workshop) -> None:
    """A tag that the registry does not know is told as such."""
    assert "7.7.7" in await host.refused(workshop.reference("7.7.7"))
    await _goes_on(host)


async def test_not_signed(host: Updating, workshop: Workshop) -> None:
    """What nobody signed is refused."""
    release = workshop.release(VERSION, is_signed=False)
    assert "sign" in await host.refused(workshop.publish(release, VERSION))
    await _goes_on(host)


async def test_signed_by_somebody_else(host: Updating, workshop: Workshop) -> None:
    """What is signed by a key that our root key does not know is refused."""
    release = workshop.release(VERSION, signer=Signer())
    assert "key" in await host.refused(workshop.publish(release, VERSION))
    await _goes_on(host)


async def test_below_the_security_floor(host: Updating, workshop: Workshop) -> None:
    """Once a release with a higher floor was registered, one below it is refused."""
    safe = workshop.publish(workshop.release("3.2.0", security_floor=5), "3.2.0")
    assert await host.update(safe) == "3.2.0"
    await host.outcome()
    unsafe = workshop.publish(workshop.release(VERSION, security_floor=4), VERSION)
    assert "security floor" in await host.refused(unsafe)


async def test_crashes_after_its_trial(
    box: Box, registrations: Registrations, workshop: Workshop, hasty: str
) -> None:
    """A release that was kept and then crashes five times gives way to the one of the image."""
    host = await updating(box, registrations, hasty, "--restart", "always")
    crashes = at_start(
        "import json\n    launch = json.loads(os.environ['DOCKMON_AGENT_LAUNCH'])\n"
        "    if not launch['running']['on_trial']:\n        sys.exit(3)"
    )
    reference = workshop.publish(workshop.release(VERSION, crashes), VERSION)
    assert await host.update(reference) == VERSION
    await host.outcome()
    await host.agent.restart()
    assert await registrations.next() == __version__
    assert (await host.agent.inspect())["RestartCount"] >= 4


async def _goes_on(host: Updating) -> None:
    """The agent never went away, and has nothing left of the attempt."""
    assert host.registrations.versions == [__version__]
    assert (await host.box.hub.request(host.host.id, "list_containers")) is not None
    await host.nothing_is_left()
    assert (await host.look()).slots == []
