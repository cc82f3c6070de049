"""kill -9 of the container's first process at every named moment of an update, and at random ones."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from e2e.box import Box
from e2e.faults import Faults, points
from e2e.kills import ELSEWHERE, Way, rows
from e2e.registrations import Registrations
from e2e.updating import updating
from e2e.workshop import GOOD_VERSION, Workshop

from agent import __version__

SEED = 20260101
KILLS = 60
LONGEST_S = 3.0
"""A kill comes at a random moment up to then: an update takes about so long."""

ROWS = [pytest.param(point, way, id=f"{point}, {way}") for point, way in rows()]


def test_every_point_has_a_row() -> None:
    """A new durable write or effect needs a row here, or a reason why it is proved elsewhere."""
    assert {point.partition(":")[0] for point, _ in rows()} | set(ELSEWHERE) == points()


@pytest.mark.parametrize(("point", "way"), ROWS)
async def test_killed_at(
    point: str,
    way: Way,
    box: Box,
    registrations: Registrations,
    agents: dict[Way, str],
    releases: dict[Way, str],
    tmp_path: Path,
) -> None:
    """After a start by hand one of the two releases registers, nothing is left over, and the update can be had."""
    faults = Faults(tmp_path / "faults")
    host = await updating(box, registrations, agents[way], *faults.flags)
    before = await host.agent.inspect()
    faults.arm(point)
    asking = asyncio.get_running_loop().create_task(host.try_to(releases[way]))
    await faults.held(asking)
    await host.agent.kill()
    await host.agent.ends()
    asking.cancel()  # nobody is there to answer
    await asyncio.wait({asking})
    count = len(registrations.versions)
    await host.agent.start()
    came = await registrations.reach(count + 1)
    assert came in ({__version__, GOOD_VERSION} if way == "good" else {__version__})
    assert (await host.agent.inspect())["Id"] == before["Id"]
    await host.nothing_is_left()
    if came != GOOD_VERSION:
        assert await host.update(releases["good"]) == GOOD_VERSION
        await host.nothing_is_left()


@pytest.mark.parametrize("seed", [SEED])  # so that a report names it
async def test_random_kills(
    seed: int, box: Box, registrations: Registrations, updatable: str, workshop: Workshop
) -> None:
    """Killed at random moments of updates back and forth, it is always one of the two, in the same container."""
    rng = random.Random(seed)
    versions = ("3.1.0", "3.2.0")
    references = {
        version: workshop.publish(workshop.release(version), version) for version in versions
    }
    host = await updating(box, registrations, updatable)
    current = __version__
    for _ in range(KILLS):
        wanted = versions[current == versions[0]]
        asking = asyncio.get_running_loop().create_task(host.try_to(references[wanted]))
        await asyncio.sleep(rng.uniform(0.02, LONGEST_S))
        await host.agent.kill()
        await host.agent.ends()
        asking.cancel()  # nobody is there to answer
        await asyncio.wait({asking})
        count = len(registrations.versions)
        await host.agent.start()
        after = await registrations.reach(count + 1)
        assert after in {current, wanted}
        current = after
    await host.nothing_is_left()
    assert len((await host.look()).slots) <= 2
