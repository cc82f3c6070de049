"""From the kernel's files to the engine and back, on frozen time: one of them at a time, and it is said which."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

import pytest
from fakes.engine import FakeEngine
from fakes.group_tree import GroupTree

from agent.adapters.cgroup_stats import CgroupStats
from agent.adapters.engine_stats import PERIOD_S, EngineStats
from agent.adapters.switched_stats import PATIENCE, RETRY_S, SwitchedStats
from agent.core.roster import Run
from agent.core.stats import Counters


class World:
    """A container that both can tell of, until a test takes its files away."""

    def __init__(self, root: Path) -> None:
        self.engine = FakeEngine()
        self.tree = GroupTree(root, version=2)
        web = self.engine.add("web", running=True)
        self.web = self.tree.add(web)
        self.files = CgroupStats(contained=False, root=root)
        self.stats = SwitchedStats(self.files, EngineStats(self.engine))

    async def look(self) -> bool:
        """Whether there were figures. Fails if both were asked."""
        self.engine.calls.clear()
        kept = bool(self.files._kept)
        found = await self.stats.read([self.web])
        assert not (self.engine.calls["stats"] and kept)
        return bool(found)

    def hide(self) -> None:
        """The container's process is another's now: as with an engine that is not on this host."""
        assert self.web.process is not None
        (self.tree.proc_of(self.web) / "cgroup").write_text("0::/elsewhere\n")
        shutil.rmtree(next(self.tree.groups.rglob(f"*{self.web.container_id}*")))
        self.files.rest()

    def show(self) -> None:
        self.web.process = self.tree.add(self.web.container_id).process

    @property
    def asks_engine(self) -> bool:
        return self.engine.calls["stats"] > 0


async def test_files_that_can_be_read(tmp_path: Path) -> None:
    """The engine is asked for nothing, and a look costs nobody else anything."""
    world = World(tmp_path)
    assert await world.look()
    assert not world.asks_engine
    assert (world.stats.period_s, world.stats.needs_processes) == (0.0, True)
    assert world.stats.describe() == (
        "container figures come from the kernel's control groups, version 2"
    )
    world.files.rest()


async def test_files_that_are_not_there(tmp_path: Path) -> None:
    """The engine is asked, with a rest between; it is said what would be cheaper."""
    shutil.rmtree(World(tmp_path).tree.groups)
    engine = FakeEngine()
    files = CgroupStats(contained=True, own_id="c" * 64, root=tmp_path)
    stats = SwitchedStats(files, EngineStats(engine))
    run = Run(engine.add("web", running=True), "web")
    assert (await stats.read([run])).keys() == {run.container_id}
    assert (stats.period_s, stats.needs_processes) == (PERIOD_S, False)
    assert f"-v /sys/fs/cgroup:{tmp_path}/sys/fs/cgroup:ro would make it cheaper" in (
        stats.describe()
    )


async def test_files_that_tell_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After a few looks the engine is asked instead. What was measured before is not compared with what is now."""
    caplog.set_level(logging.WARNING)
    world = World(tmp_path)
    await world.look()
    world.hide()
    world.web.before = Counters(cpu_ns=5)
    assert [await world.look() for _ in range(PATIENCE)] == [False] * PATIENCE
    assert world.web.before is None
    assert await world.look()
    assert world.asks_engine
    assert world.stats.period_s == PERIOD_S
    assert len(caplog.messages) == 1
    assert "Engine API" in caplog.messages[0]


async def test_files_that_tell_something_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are tried once a minute, and then the engine has its peace."""
    caplog.set_level(logging.WARNING)
    world = World(tmp_path)
    world.hide()
    for _ in range(PATIENCE + 1):
        await world.look()
    world.show()
    assert await world.look()
    assert world.asks_engine
    await asyncio.sleep(RETRY_S)
    assert await world.look()
    assert not world.asks_engine
    assert world.stats.period_s == 0.0
    assert "control groups, version 2" in caplog.messages[-1]
    world.files.rest()


async def test_processes_that_nobody_asked_for_yet(tmp_path: Path) -> None:
    """That is no reason to turn to the engine: it takes a moment."""
    world = World(tmp_path)
    known, world.web.process = world.web.process, None
    for _ in range(5 * PATIENCE):
        assert not await world.look()
    world.web.process = known
    assert await world.look()
    assert not world.asks_engine
    world.files.rest()


async def test_nobody_runs(tmp_path: Path) -> None:
    """Then there is nothing to be told, and that is no failure."""
    world = World(tmp_path)
    for _ in range(5 * PATIENCE):
        assert await world.stats.read([]) == {}
    assert await world.look()
    assert not world.asks_engine
    world.files.rest()
