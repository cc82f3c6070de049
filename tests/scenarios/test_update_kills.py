"""The agent is killed at every call it makes to the engine while it updates a container.

Whatever the moment: the next agent brings it to an end, and everything is completely new or completely what it was.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from fakes.doomed_engine import DoomedEngine
from fakes.engine import Recipe
from features.update_world import NEW, UpdateWorld

from agent.core.chart import Chart

MOST_CALLS = 200

LONG_S = 600.0
"""The server has given up by then."""


@dataclass(frozen=True)
class Household:
    """A host before the update, and what it looks like if that was carried out."""

    world: UpdateWorld
    target: str
    before: dict[str, tuple[str, str]]
    after: dict[str, tuple[str, str]]
    volume: str


def household(*, running: bool = True, recipe: Recipe | None = None) -> Household:
    """A database on two networks with an anonymous volume; two others share its network, one runs."""
    world = UpdateWorld()
    if recipe is not None:
        world.engine.registry[NEW] = recipe
    world.engine.add_network("front", "10.1.0.0/24")
    world.engine.add_network("back", "10.2.0.0/24")
    target = world.engine.add(
        "db",
        running=running,
        config={"Volumes": {"/data": {}}},
        endpoints={
            "front": {"IPAMConfig": {"IPv4Address": "10.1.0.7"}},
            "back": {"Aliases": ["database"]},
        },
    )
    shared = {"NetworkMode": f"container:{target}"}
    world.engine.add("side", running=running, image="side:1", host_config=shared)
    world.engine.add("rest", image="side:1", host_config=shared)
    world.engine.add("else", running=True, image="else:1")
    before = world.states()
    now = "running" if running else "created"
    after = before | {"db": (NEW, now), "side": ("side:1", now), "rest": ("side:1", "created")}
    [volume] = world.engine.boxes[target].volume_names()
    return Household(world, target, before, after, volume)


async def killed_at(host: Household, call: int, *, is_carried_out: bool) -> tuple[str, str] | None:
    """Updates, and kills the agent at that call; (state, call) it was in, or None if it was done before."""
    doomed = DoomedEngine(host.world.engine, last=call, is_carried_out=is_carried_out)
    async with (
        asyncio.TaskGroup() as tasks,
        host.world.process(doomed.as_port()) as process,
    ):
        asked = tasks.create_task(answered(process.update(host.target)))
        over = tasks.create_task(doomed.over.wait())
        settled = tasks.create_task(asyncio.sleep(LONG_S))
        await asyncio.wait({over, settled}, return_when=asyncio.FIRST_COMPLETED)
        for task in (asked, over, settled):
            task.cancel()
    if not doomed.over.is_set():
        return None
    [state] = [job.record["state"] for job in host.world.store.begun.values()] or ["asked"]
    return state, doomed.call


async def answered(asking: object) -> None:
    """The acknowledgement is told elsewhere; here the agent dies before or after it."""
    with contextlib.suppress(Exception):
        await asking  # type: ignore[misc]


async def recovered(host: Household) -> None:
    """The next agent, until it has nothing left to do."""
    async with host.world.process() as process:
        await process.recover()


def moments() -> Iterator[tuple[int, bool]]:
    for call in range(1, MOST_CALLS):
        yield call, False
        yield call, True


def assert_is_whole(host: Household, *, new: bool, at: object) -> None:
    """Completely one or the other: containers, networks, volume, the record, what is told."""
    world = host.world
    assert world.states() == (host.after if new else host.before), at
    target = world.engine.boxes[world.named()["db"]]
    assert (target.id != host.target) is new, at
    assert world.named()["else"], at
    assert target.volume_names() == [host.volume], at
    assert list(target.endpoints) == ["front", "back"], at
    assert "database" in target.endpoints["back"]["Aliases"], at
    if target.running:
        assert target.endpoints["front"]["IPAddress"] == "10.1.0.7", at
    for name in ("side", "rest"):
        side = world.engine.boxes[world.named()[name]]
        assert side.network_mode == f"container:{target.id}", at
        assert not side.running or side.started_at >= target.started_at, at
    assert world.store.begun == {}, at
    assert len(world.completions()) == new, at
    if new:
        [told] = world.completions()
        assert told["old_container_id"] == host.target[:12], at
        assert told["new_container_id"] == target.id[:12], at


async def visited(
    make: Callable[[], Household], *, then_s: float, is_new: Callable[[str], bool]
) -> set[str]:
    """Kills at every moment there is, has the next agent begin `then_s` later; returns the states that were hit."""
    hit = set()
    for call, is_carried_out in moments():
        host = make()
        at = await killed_at(host, call, is_carried_out=is_carried_out)
        if at is None:
            break
        await asyncio.sleep(then_s)
        await recovered(host)
        moment = (*at, call, is_carried_out)
        assert_is_whole(host, new=is_new(at[0]), at=moment)
        hit.add(at[0])
    else:
        pytest.fail(f"it is not done after {MOST_CALLS} calls")
    return hit


UNTOUCHED = {"asked", "pulling", "configuring"}
WAY = set(Chart.load("container_update").states) - {
    *("completed", "failed", "rolled_back", "stranded", "suspended", "rollback")
}


async def test_an_agent_that_comes_back_at_once() -> None:
    """Before anything was touched it fails; from then on the next agent goes on and completes it."""
    hit = await visited(household, then_s=1.0, is_new=lambda state: state not in UNTOUCHED)
    assert hit == WAY | {"asked"}


async def test_an_agent_that_comes_back_late() -> None:
    """The server has given up and knows the old container only: all is put back, unless the old one was about to go."""
    hit = await visited(household, then_s=LONG_S, is_new=lambda state: state == "cleanup")
    assert hit == WAY | {"asked"}


async def test_a_container_that_is_stopped() -> None:
    """Neither it nor those that depend on it are started on the way."""
    hit = await visited(
        lambda: household(running=False),
        then_s=1.0,
        is_new=lambda state: state not in UNTOUCHED,
    )
    assert hit == WAY - {"starting", "health_check"} | {"asked"}


async def test_an_image_that_is_no_good() -> None:
    """It ends as if nobody had been killed: with the old container, also if that hits the rollback."""
    hit = await visited(
        lambda: household(recipe=Recipe(dies_after_s=0.5, exit_code=1)),
        then_s=1.0,
        is_new=lambda _: False,
    )
    assert hit == WAY - {"dependents", "cleanup"} | {"asked", "rollback"}


async def test_an_agent_that_is_killed_again_and_again() -> None:
    """Each gets one call further than the one before it; in the end it is whole."""
    for life in range(2, 12):
        host = household()
        world = host.world
        await killed_at(host, 25, is_carried_out=True)
        for _ in range(MOST_CALLS):
            doomed = DoomedEngine(world.engine, last=life, is_carried_out=True)
            async with world.process(doomed.as_port()) as process:
                process.updates.engine_came_back()
                await asyncio.sleep(20)
            if not doomed.over.is_set():
                break
        await recovered(host)
        assert world.named()["db"] != host.target or world.states() == host.before, life
        assert not [name for name in world.named() if "-dockmon-" in name], life
        assert world.store.begun == {}, life
