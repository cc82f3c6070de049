"""Figures through the Engine API, on frozen time: how often it is asked, and what one that hangs costs the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from fakes.engine import FakeEngine
from fakes.usage import Usage

from agent.adapters.engine_stats import (
    AT_ONCE,
    LONGEST_S,
    PERIOD_S,
    REST_S,
    SPREAD_S,
    EngineStats,
)
from agent.core.roster import Run
from agent.core.stats import Counters
from agent.ports import EngineUnreachable, Json

S = 1_000_000_000


def now_s() -> float:
    return asyncio.get_running_loop().time()


def running(engine: FakeEngine, count: int) -> list[str]:
    return [engine.add(f"c{number}", running=True) for number in range(count)]


def runs(containers: Iterable[str]) -> list[Run]:
    return [Run(each, "") for each in containers]


async def test_figures() -> None:
    """One look at each container, by its ID."""
    engine = FakeEngine()
    web, db = running(engine, 2)
    engine.usage[web] = Usage(cpu_ns=5 * S, system_cpu_ns=100 * S, cpus=2, rx_bytes=7)
    found = await EngineStats(engine).read(runs([web, db]))
    assert found.keys() == {web, db}
    assert found[web] == Counters(
        cpu_ns=5 * S,
        system_cpu_ns=100 * S,
        cpus=2,
        memory_usage_bytes=1 << 20,
        memory_limit_bytes=8 << 30,
        network_rx_bytes=7,
    )


async def test_nobody_to_look_at() -> None:
    """Nothing is asked, nothing is waited for."""
    engine = FakeEngine()
    assert await EngineStats(engine).read(runs([])) == {}
    assert (engine.calls["stats"], now_s()) == (0, 0.0)


async def test_a_container_that_is_gone() -> None:
    """It is left out."""
    engine = FakeEngine()
    [web] = running(engine, 1)
    assert (await EngineStats(engine).read(runs(["f" * 64, web]))).keys() == {web}


async def test_an_engine_that_fails() -> None:
    """There are no figures then, and that is all."""
    engine = FakeEngine()
    engine.failing["stats"] = EngineUnreachable("down")
    assert await EngineStats(engine).read(runs(running(engine, 5))) == {}


async def test_the_engine_is_not_asked_all_at_once() -> None:
    """The questions are spread over the time there is."""
    engine = FakeEngine()
    found = await EngineStats(engine).read(runs(running(engine, 100)))
    assert len(found) == 100
    assert now_s() == pytest.approx(SPREAD_S * 99 / 100)


async def test_an_engine_that_takes_a_second_for_each() -> None:
    """A few at once, until the time is over; the rest comes first the next time, and so each has its turn."""
    engine = FakeEngine()
    containers = running(engine, 3 * AT_ONCE + 2)
    engine.delay_s["stats"] = 1.0
    source = EngineStats(engine)
    first = await source.read(runs(containers))
    assert now_s() == PERIOD_S - REST_S
    assert AT_ONCE <= len(first) < len(containers)
    second = await source.read(runs(containers))
    assert first.keys() | second.keys() == set(containers)


async def test_an_engine_that_hangs() -> None:
    """The whole look ends in time, and once it answers again everybody is found."""
    engine = FakeEngine()
    containers = running(engine, 3 * AT_ONCE)
    engine.delay_s["stats"] = 1000
    source = EngineStats(engine)
    assert await source.read(runs(containers)) == {}
    assert now_s() == PERIOD_S - REST_S
    engine.delay_s["stats"] = 0
    assert (await source.read(runs(containers))).keys() == set(containers)


class PartlyHanging(FakeEngine):
    """Holds the locks of some of its containers."""

    def __init__(self) -> None:
        super().__init__()
        self.hanging: set[str] = set()

    async def stats(self, container: str, *, deadline_s: float) -> Json:
        self.delay_s["stats"] = 1000 if container in self.hanging else 0
        return await super().stats(container, deadline_s=deadline_s)


async def test_containers_that_hang() -> None:
    """As many as are asked at once: the others have their turn all the same."""
    engine = PartlyHanging()
    containers = running(engine, 10 * AT_ONCE)
    engine.hanging = set(containers[:AT_ONCE])
    source = EngineStats(engine)
    seen: set[str] = set()
    for _ in range(2):
        seen |= (await source.read(runs(containers))).keys()
    assert seen == set(containers) - engine.hanging


async def test_who_ended_has_no_turn() -> None:
    """What was left out and is not asked for any more is forgotten."""
    engine = FakeEngine()
    containers = running(engine, 5 * AT_ONCE)
    engine.delay_s["stats"] = 1.0
    source = EngineStats(engine)
    await source.read(runs(containers))
    engine.calls.clear()
    assert (await source.read(runs(containers[:1]))).keys() == set(containers[:1])
    assert engine.calls["stats"] == 1


async def test_an_engine_that_cannot_keep_up() -> None:
    """It is asked less often, and each look has more time, within what the server's history bears."""
    engine = FakeEngine()
    engine.delay_s["stats"] = 1.0
    source = EngineStats(engine)
    crowd = runs(running(engine, 400))
    periods = []
    for _ in range(4):
        await source.read(crowd)
        periods.append(source.period_s)
    assert periods == [2 * PERIOD_S, LONGEST_S, LONGEST_S, LONGEST_S]
    assert now_s() == sum((PERIOD_S, *periods[:3])) - 4 * REST_S


async def test_an_engine_that_can_again() -> None:
    """It is asked as often as at first, though not at once."""
    engine = FakeEngine()
    engine.delay_s["stats"] = 1.0
    source = EngineStats(engine)
    crowd = runs(running(engine, 400))
    for _ in range(2):
        await source.read(crowd)
    engine.delay_s["stats"] = 0.0
    periods = []
    for _ in range(3):
        await source.read(crowd)
        periods.append(source.period_s)
    assert periods == [2 * PERIOD_S, PERIOD_S, PERIOD_S]
