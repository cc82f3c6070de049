"""What the engine does ends up in the journal, once and in order; what nobody saw is concluded, and nothing else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from fakes.engine import FakeEngine
from fakes.store import MemoryStore
from waiting import until

from agent.clock import utcnow
from agent.core.chart import Chart
from agent.core.engine_watch import CaughtUp, EngineLost, EngineWatch, StreamOverran
from agent.core.journal import Known
from agent.core.machine import Event, StopRequested
from agent.ports import Batch, EngineBusy, EngineTimeout, EngineUnreachable, Json, StoreError
from agent.runtime.engine_activities import EngineActivities
from agent.runtime.engine_status import EngineStatus
from agent.runtime.event_buffer import BUFFER, EventBuffer
from agent.runtime.region import Region
from agent.runtime.runtime import Move, Runtime

FULL = StoreError("/data cannot be used: no space left on device; free space")


def now_s() -> float:
    return asyncio.get_running_loop().time()


class LongestDelays(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return b


class QuietBeat:
    def pulse(self, states: Mapping[str, str]) -> None: ...


class Watch:
    """The engine chart on a runtime of its own, between an engine and a store. A comparison is due every 66 s."""

    def __init__(self, store: MemoryStore | None = None, engine: FakeEngine | None = None) -> None:
        self.engine = engine or FakeEngine()
        self.store = store or MemoryStore()
        self.status = EngineStatus()
        self.journalled = 0
        self.came_back = self.missed = 0
        self.noticed: list[Json] = []
        self.moves: list[Move] = []
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def running(self, *, following: bool = True) -> AsyncIterator[None]:
        """Watches until the end of the block; `following`: from when the journal is complete."""
        runtime = Runtime(beat=QuietBeat(), strict=True)
        buffer = EventBuffer(self.engine, notice=self.noticed.append)
        activities = EngineActivities(
            self.engine,
            self.store,
            buffer,
            self.status,
            journalled=self._journalled,
            came_back=self._came_back,
            missed=self._missed,
            clock=utcnow,
            rng=LongestDelays(),
        )
        self.machine = EngineWatch(Chart.load("engine"), rng=LongestDelays())
        runtime.add(Region(self.machine, activities.by_name(), {"event_reader": buffer}))
        runtime.observe(self._moved)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(runtime.run())
            if following:
                await self.until("following")
            yield
            runtime.post(StopRequested("the test is over"))

    async def until(self, state: str) -> None:
        async with asyncio.timeout(600):
            while self.machine.state != state:
                self._changed.clear()
                await self._changed.wait()

    def _moved(self, move: Move) -> None:
        self.moves.append(move)
        self._changed.set()

    def _journalled(self) -> None:
        self.journalled += 1

    def _came_back(self) -> None:
        self.came_back += 1

    def _missed(self) -> None:
        self.missed += 1

    def events(self, kind: type[Event]) -> list[Event]:
        return [move.event for move in self.moves if isinstance(move.event, kind)]

    def states(self) -> list[tuple[float, str]]:
        return [(round(move.at_s, 3), move.after) for move in self.moves]

    @property
    def told(self) -> list[str]:
        """The journal: name and action of each row in order, with a star for what was inferred."""
        return [
            f"{row.payload['container_name']} {row.payload['action']}" + "*" * row.inferred
            for row in self.store.rows.values()
        ]

    def state_of(self, container_id: str) -> Known | None:
        return (self.store.containers or {}).get(container_id)

    async def restart(self, container_id: str) -> None:
        await self.engine.restart(container_id, timeout_s=10, deadline_s=30)


# The first time


async def test_adoption() -> None:
    """Without a journal what was is not told: the ring is dropped, and what is there is where it begins."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    job = watch.engine.add("job")
    await watch.restart(web)
    async with watch.running():
        assert watch.told == []
        assert watch.events(CaughtUp) == [CaughtUp(0, 0)]
        known = watch.state_of(web)
        assert known is not None
        assert (known.name, known.image, known.running) == ("web", "paper:2.4", True)
        assert watch.state_of(job) == Known("job", "paper:2.4", False)
        await watch.engine.start(job, deadline_s=30)
        await asyncio.sleep(1)
        assert watch.told == ["job start"]


async def test_adoption_on_a_busy_host() -> None:
    """Events that come without a pause do not keep it from beginning. It used to wait for a pause that never came."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    async with asyncio.TaskGroup() as tasks:
        restarting = tasks.create_task(_restart_for_ever(watch, web))
        async with watch.running():
            assert now_s() <= 6.0
            await asyncio.sleep(10)
            assert watch.told[:3] == ["web die", "web start", "web restart"]
            restarting.cancel()


async def _restart_for_ever(watch: Watch, container_id: str) -> None:
    while True:
        await watch.restart(container_id)
        await asyncio.sleep(0.5)


# Following


async def test_following() -> None:
    """Each event is a row at once, in order, and whoever delivers rows is told."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    async with watch.running():
        before = watch.journalled
        await watch.restart(web)
        await asyncio.sleep(0.1)
        assert watch.told == ["web die", "web start", "web restart"]
        assert watch.journalled > before
        assert [row.payload["attributes"].get("exitCode") for row in watch.store.rows.values()] == [
            "143",
            None,
            None,
        ]
        actions = [e["Action"] for e in watch.noticed if e["Type"] == "container"]
        assert actions == ["kill", "die", "stop", "start", "restart"]


async def test_a_quiet_stream_over_an_hour() -> None:
    """While nothing happens the containers are compared about every minute, and nothing is told."""
    watch = Watch()
    watch.engine.add("web", running=True)
    async with watch.running():
        before = watch.engine.calls["containers"]
        await asyncio.sleep(3600)
        assert watch.engine.calls["containers"] - before == 3600 // 66
        assert watch.told == []
        assert watch.states()[-1][1] == "following"


async def test_what_the_stream_dropped() -> None:
    """A container that died without an event is found by the comparison, in two looks, and told as inferred."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    job = watch.engine.add("job")
    gone = watch.engine.add("gone", running=True)
    async with watch.running():
        watch.engine.dies_unseen(web, exit_code=137)
        watch.engine.starts_unseen(job)
        watch.engine.goes_unseen(gone)
        await asyncio.sleep(70)
        assert watch.told == ["web die*", "job start*", "gone die*", "gone destroy*"]
        died = next(iter(watch.store.rows.values())).payload
        assert died["attributes"]["exitCode"] == "137"
        assert (
            died["timestamp"] == "2026-01-01T00:00:01.000000Z"
        )  # when it died, not when we looked
        assert watch.state_of(gone) is None
        await asyncio.sleep(200)
        assert len(watch.told) == 4
        assert watch.missed == 1, "whoever remembers what events told is told so, once"


async def test_an_event_that_explains_the_difference() -> None:
    """What an event tells between the two looks is not concluded as well."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    async with watch.running():
        await asyncio.sleep(65.5)  # the look is due at 66 s, the second one a second later
        watch.engine.dies_unseen(web)
        await asyncio.sleep(1.0)
        watch.engine.emit("die", watch.engine.boxes[web], exitCode="1")
        await asyncio.sleep(10)
        assert watch.told == ["web die"]


async def test_events_that_lag_behind() -> None:
    """A container whose events are arriving is left to them: what they have not told yet they will tell."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    async with watch.running():
        await asyncio.sleep(65.5)
        watch.engine.dies_unseen(web)
        await asyncio.sleep(1.0)
        watch.engine.starts_unseen(web)
        watch.engine.emit("die", watch.engine.boxes[web], exitCode="1")
        await asyncio.sleep(1.0)
        watch.engine.emit("start", watch.engine.boxes[web])
        await asyncio.sleep(10)
        assert watch.told == ["web die", "web start"]


async def test_a_difference_that_passes() -> None:
    """What is gone at the second look was a moment in between, whose events are still on their way."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    async with watch.running():
        await asyncio.sleep(65.5)
        watch.engine.dies_unseen(web)
        await asyncio.sleep(1.0)
        watch.engine.starts_unseen(web)
        watch.engine.boxes[web].started_at = "2026-01-01T00:00:00Z"
        await asyncio.sleep(10)
        assert watch.told == []


async def test_events_during_a_comparison() -> None:
    """While an engine takes its time to answer, events go on being journalled in order, and none is inferred."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    async with watch.running():
        watch.engine.delay_s["containers"] = 5.0
        await asyncio.sleep(64)
        for _ in range(10):
            await watch.restart(web)
            await asyncio.sleep(1)
        assert watch.told == ["web die", "web start", "web restart"] * 10


async def test_a_rename() -> None:
    """A rename is no row; whatever is told of the container later has its new name."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    async with watch.running():
        await watch.engine.rename(web, "shop", deadline_s=30)
        await asyncio.sleep(1)
        assert watch.told == []
        assert (known := watch.state_of(web)) is not None
        assert known.name == "shop"
        watch.engine.goes_unseen(web)
        await asyncio.sleep(70)
        assert watch.told == ["shop die*", "shop destroy*"]


async def test_an_event_of_no_interest() -> None:
    """What the server does nothing with is no row: an image pull, a health probe."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    async with watch.running():
        watch.engine.emit("pull", watch.engine.boxes[web], type="image")
        watch.engine.emit("exec_start: /health", watch.engine.boxes[web])
        await asyncio.sleep(1)
        assert watch.told == []
        assert [event["Action"] for event in watch.noticed] == ["pull"]


# The stream breaks


async def test_a_stream_that_breaks() -> None:
    """The ring has what happened meanwhile; what was seen before is not told again."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    async with watch.running():
        await watch.restart(web)
        await asyncio.sleep(1)
        _break_the_stream(watch.engine)
        await watch.restart(web)
        await asyncio.sleep(10)
        assert watch.told == ["web die", "web start", "web restart"] * 2
        assert [state for _, state in watch.states()][-3:] == ["down", "catching_up", "following"]
        assert watch.events(CaughtUp)[-1] == CaughtUp(replayed=3, inferred=0)


async def test_after_a_restart_of_the_agent() -> None:
    """A new process reads the whole ring, drops what the journal has, and tells the rest in order."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    async with watch.running():
        await watch.restart(web)
        await asyncio.sleep(1)
    await watch.restart(web)
    after = Watch(watch.store.restarted(), watch.engine)
    async with after.running():
        assert after.told == ["web die", "web start", "web restart"] * 2


async def test_after_a_long_absence(caplog: pytest.LogCaptureFixture) -> None:
    """If the ring has turned over, its rest is told, and the net state of each container is what it ends with."""
    watch = Watch()
    web, job = watch.engine.add("web", running=True), watch.engine.add("job")
    async with watch.running():
        await watch.restart(web)
        await asyncio.sleep(1)
    await watch.engine.start(job, deadline_s=30)
    for _ in range(100):
        await watch.restart(web)
    after = Watch(watch.store.restarted(), watch.engine)
    async with after.running():
        assert after.told[3:5] != ["job start", "web die"]
        assert after.told[-1] == "job start*"
        assert (known := after.state_of(job)) is not None
        assert known.running
    assert any("no longer has every event" in line for line in caplog.messages)


async def test_nothing_is_amiss_after_an_ordinary_absence(caplog: pytest.LogCaptureFixture) -> None:
    """The warning about missing events is not given while the ring goes back far enough."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    async with watch.running():
        await watch.restart(web)
        await asyncio.sleep(1)
    for _ in range(10):
        watch.engine.emit("pull", watch.engine.boxes[web], type="image")
    async with Watch(watch.store.restarted(), watch.engine).running():
        pass
    assert not any("no longer has" in line for line in caplog.messages)


# The engine goes away


async def test_an_engine_that_restarts() -> None:
    """Its ring is gone, so what happened is concluded: who died, who came, and who was restarted between."""
    watch = Watch()
    names = ("died", "restarted", "stays-down", "gone")
    died, restarted, _down, gone = (
        watch.engine.add(name, running=name != "stays-down") for name in names
    )
    async with watch.running():
        await asyncio.sleep(5)
        watch.engine.down()
        for container_id in (died, restarted):
            watch.engine.dies_unseen(container_id)
        await asyncio.sleep(60)
        watch.engine.starts_unseen(restarted)
        watch.engine.goes_unseen(gone)
        watch.engine.add("new", running=True)
        watch.engine.up()
        await watch.until("following")
        assert watch.told == [
            "died die*",
            "restarted die*",
            "restarted start*",
            "gone die*",
            "gone destroy*",
            "new start*",
        ]
        await asyncio.sleep(300)
        assert len(watch.told) == 6


async def test_probing() -> None:
    """An engine that is away is asked at growing intervals up to a quarter of a minute; its return is announced."""
    watch = Watch()
    watch.engine.down()
    async with watch.running(following=False):
        await asyncio.sleep(70)
        assert [at_s for at_s, _ in watch.states()] == [0, 1, 3, 7, 15, 30, 45, 60]
        assert not watch.status.answers
        watch.engine.up()
        await watch.until("following")
        assert watch.status.answers
        assert await watch.status.known() == watch.engine.engine_facts
        assert watch.came_back == 1


async def test_facts_stay_when_the_engine_goes() -> None:
    """An old name is better than none; that it does not answer is known all the same."""
    watch = Watch()
    async with watch.running():
        watch.engine.down()
        await asyncio.sleep(1)
        assert not watch.status.answers
        assert watch.status.facts == watch.engine.engine_facts


async def test_an_engine_that_hangs() -> None:
    """Calls that are not answered are given up, and the chart goes on asking."""
    watch = Watch()
    watch.engine.add("web", running=True)
    watch.engine.delay_s["containers"] = 1000.0
    async with watch.running(following=False):
        await asyncio.sleep(300)
        assert {state for _, state in watch.states()} == {"down", "catching_up"}
        assert len(watch.events(EngineLost)) > 3
        watch.engine.delay_s.clear()
        await watch.until("following")


async def test_an_engine_that_is_busy() -> None:
    """Two comparisons in a row may fail of a busy engine. The third counts as lost."""
    watch = Watch()
    watch.engine.add("web", running=True)
    async with watch.running():
        for error in (EngineBusy("4 reads are under way"), EngineTimeout("no answer")):
            watch.engine.failing["containers"] = error
            await asyncio.sleep(2 * 66)
            del watch.engine.failing["containers"]
            await asyncio.sleep(66)
        assert watch.events(EngineLost) == []
        watch.engine.failing["containers"] = EngineBusy("4 reads are under way")
        await asyncio.sleep(2 * 66)
        assert watch.events(EngineLost) == []
        await asyncio.sleep(66)
        assert watch.events(EngineLost)[0] == EngineLost("4 reads are under way")


async def test_an_engine_that_cannot_be_reached() -> None:
    """Nobody at its address is no comparison that failed: it is lost at once."""
    watch = Watch()
    async with watch.running():
        watch.engine.failing["containers"] = EngineUnreachable("no such file")
        await asyncio.sleep(67)
        assert watch.events(EngineLost) == [EngineLost("no such file")]


async def test_an_inspect_that_fails() -> None:
    """One answer too few and the engine counts as lost; the other questions are not left running behind it."""
    watch = Watch()
    for number in range(20):
        watch.engine.add(f"web-{number}", running=True)
    async with watch.running():
        _break_the_stream(watch.engine)
        watch.engine.failing["inspect_container"] = EngineTimeout("no answer")
        watch.engine.delay_s["inspect_container"] = 2.0
        await until(lambda: watch.events(EngineLost), every_s=0.5)
        assert watch.engine.calls["inspect_container"] == 4
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert len([name for name in names if name.startswith(("catch_up", "follow"))]) == 0
        watch.engine.failing.clear()
        await watch.until("following")


async def test_a_container_that_goes_while_it_is_looked_at() -> None:
    """Listed and gone at the inspect: it is gone, and its own events say how."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    async with watch.running():
        _break_the_stream(watch.engine)
        watch.engine.delay_s["inspect_container"] = 2.0
        await watch.until("catching_up")
        await until(lambda: watch.engine.calls["inspect_container"], every_s=0.5)
        await watch.engine.remove(web, force=True, deadline_s=30)
        await watch.until("following")
        assert watch.told == ["web die", "web destroy"]


# The disk


async def test_a_disk_that_is_full() -> None:
    """What cannot be journalled is not marked as seen: when the disk is freed the ring tells it, once and in order."""
    watch = Watch()
    web = watch.engine.add("web", running=True)
    async with watch.running():
        watch.store.broken = FULL
        await watch.restart(web)
        await asyncio.sleep(30)
        assert watch.events(EngineLost)[0] == EngineLost(str(FULL))
        assert watch.told == []
        watch.store.broken = None
        await watch.until("following")
        assert watch.told == ["web die", "web start", "web restart"]


async def test_rows_that_were_written_after_all() -> None:
    """Whoever delivers is told after each catching up: a write that a move cut short may have happened."""
    watch = Watch()
    watch.engine.add("web", running=True)
    async with watch.running():
        before = watch.journalled
        _break_the_stream(watch.engine)
        await asyncio.sleep(5)
        assert watch.journalled == before + 1


async def test_an_overrun() -> None:
    """Events that come faster than the disk takes them are dropped; ring and comparison find what counts."""
    watch = Watch(_Slow())
    web, job = watch.engine.add("web", running=True), watch.engine.add("job")
    async with watch.running():
        await watch.engine.start(job, deadline_s=30)
        await asyncio.sleep(1)  # its row is being written, which takes a minute
        for _ in range(BUFFER // 3 + 1):
            await watch.restart(web)
        watch.engine.dies_unseen(web)
        await asyncio.sleep(1)
        assert isinstance(event := watch.events(StreamOverran)[0], StreamOverran)
        assert event.dropped == BUFFER + 1
        await watch.until("following")
        assert (known := watch.state_of(web)) is not None
        assert not known.running
        assert (known := watch.state_of(job)) is not None
        assert known.running
        assert watch.told[-2:] == ["web die*", "job start*"]
        assert len(watch.store.rows) == len(set(watch.store.rows))


class _Slow(MemoryStore):
    """The first row takes a minute to write."""

    async def journal(self, batch: Batch) -> int:
        if batch.rows and not self.rows:
            await asyncio.sleep(60)
        return await super().journal(batch)


def _break_the_stream(engine: FakeEngine) -> None:
    """As when a proxy in front of the engine ends it: the engine itself goes on."""
    engine.cut_streams("the stream was cut")
