"""From the moment the session is there until it is gone: who is looked at, when, and what the server is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fakes.channel import FakeChannel
from fakes.engine import FakeEngine
from fakes.scope import FakeScope
from fakes.telemetry import FakeMeter, FakeSink, FakeSource

from agent.clock import utcnow
from agent.core.batch_size import LEAST
from agent.features.inspections import Inspections
from agent.features.telemetry import INSPECTS_AT_ONCE, REST_S, RETRY_S, Telemetry
from agent.ports import EngineBusy, Json, Priority

TICK_S = 5.0


class World:
    """An engine whose events are noticed, and the server's view of it."""

    def __init__(self, *, interval_s: float = 1.0) -> None:
        self.engine, self.channel = FakeEngine(), FakeChannel()
        self.source, self.meter, self.history = FakeSource(), FakeMeter(), FakeSink()
        self.meter.is_blind = True
        self.inspections = Inspections(self.engine)
        self.telemetry = Telemetry(
            self.engine,
            self.inspections,
            self.channel,
            self.source,
            self.meter,
            utcnow,
            interval_s=interval_s,
            stats_link=self.history,
        )
        self.reader = self.engine.read_events({}, self)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        async with FakeScope() as scope:
            self.telemetry.acquire(scope)
            yield
            await self.telemetry.release()

    # The sink of events

    def event(self, event: Json) -> None:
        self.inspections.notice(event)
        self.telemetry.notice(event)

    def ended(self, reason: str) -> None:
        pass

    # What the server saw

    @property
    def samples(self) -> list[Json]:
        return self.channel.payloads("container_stats")

    def told(self) -> list[tuple[str, float, int]]:
        """(name, CPU, memory) of all samples since this was asked last."""
        new = [(s["container_name"], s["cpu_percent"], s["memory_usage"]) for s in self.samples]
        self.channel.sent.clear()
        return new

    def looks(self) -> list[tuple[float, int]]:
        return [(at_s, len(containers)) for at_s, containers in self.source.looks]


async def test_a_session() -> None:
    """Who runs is sampled at once and every five seconds, CPU usage from the second time on; over both sockets."""
    world = World()
    world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(1)
        assert world.told() == [("web", 0.0, 256)]
        await asyncio.sleep(TICK_S)
        assert world.told() == [("web", 10.0, 256)]
        assert world.looks() == [(0.0, 1), (5.0, 1)]
        assert [sample["cpu_percent"] for sample in world.history.samples] == [0.0, 10.0]
    await asyncio.sleep(60)
    assert len(world.source.looks) == 2


async def test_what_a_sample_is() -> None:
    """An event of the least priority, with the container's full ID and its name without a slash."""
    world = World()
    web = world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(1)
    [(priority, message)] = world.channel.sent
    assert priority is Priority.SAMPLE
    assert (message["type"], message["command"]) == ("event", "container_stats")
    assert message["payload"]["container_id"] == web
    assert message["payload"]["container_name"] == "web"


# Containers that come and go


async def test_a_container_that_starts() -> None:
    """It is part of the next look."""
    world = World()
    web = world.engine.add("web")
    async with world.session():
        await asyncio.sleep(1)
        world.told()
        await world.engine.start(web, deadline_s=5)
        await asyncio.sleep(TICK_S)
        assert world.told() == [("web", 0.0, 256)]


async def test_a_container_that_ends() -> None:
    """One sample of zeros, at once and over both sockets, and no more looks at it."""
    world = World()
    web = world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(1)
        world.told()
        world.engine.dies(web)
        await asyncio.sleep(0.1)
        assert world.told() == [("web", 0.0, 0)]
        assert world.history.samples[-1]["memory_usage"] == 0
        await asyncio.sleep(60)
        assert world.told() == []
        assert {count for at_s, count in world.looks() if at_s > 0} == {0}


async def test_a_container_that_ends_while_it_is_looked_at() -> None:
    """The zeros are the last that is heard of it, though its figures come later."""
    world = World()
    web = world.engine.add("web", running=True)
    world.source.takes_s = 2.0
    async with world.session():
        await asyncio.sleep(1)
        world.engine.dies(web)
        await asyncio.sleep(10)
        assert world.told() == [("web", 0.0, 0)]


async def test_a_container_that_is_restarted_between_two_looks() -> None:
    """What it used before its restart is not held against it."""
    world = World()
    web = world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(1)
        await world.engine.restart(web, timeout_s=1, deadline_s=5)
        await asyncio.sleep(1)
        world.told()
        await asyncio.sleep(TICK_S)
        assert world.told() == [("web", 0.0, 256)]
        await asyncio.sleep(TICK_S)
        assert world.told() == [("web", 10.0, 256)]


async def test_a_signal_that_ends_nothing() -> None:
    """`docker kill -s HUP` is a `kill` event too."""
    world = World()
    web = world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(1)
        world.told()
        world.engine.emit("kill", world.engine.boxes[web], signal="1")
        await asyncio.sleep(TICK_S)
        assert world.told() == [("web", 10.0, 256)]


async def test_another_name() -> None:
    """The next sample has it, and CPU usage goes on."""
    world = World()
    web = world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(1)
        world.told()
        await world.engine.rename(web, "paper", deadline_s=5)
        await asyncio.sleep(TICK_S)
        assert world.told() == [("paper", 10.0, 256)]


async def test_a_container_that_cannot_be_read() -> None:
    """The others are told of; it is looked at again."""
    world = World()
    world.engine.add("web", running=True)
    world.source.unreadable = {world.engine.add("odd", running=True)}
    async with world.session():
        await asyncio.sleep(1)
        assert world.told() == [("web", 0.0, 256)]
        world.source.unreadable = set()
        await asyncio.sleep(TICK_S)
        assert sorted(world.told()) == [("odd", 0.0, 256), ("web", 10.0, 256)]


# Processes


def processes(world: World) -> int:
    """How often the engine was asked for one since this was asked last."""
    return world.engine.calls.pop("inspect_container", 0)


async def test_processes_are_asked_for_once() -> None:
    """By a source that needs them, a few at a time; it has its first look soon."""
    world = World()
    world.source.needs_processes, world.source.period_s = True, 0.0
    for number in range(20):
        world.engine.add(f"c{number}", running=True)
    world.engine.delay_s["inspect_container"] = 0.1
    async with world.session():
        await asyncio.sleep(20 * 0.1 / INSPECTS_AT_ONCE + 1.1)
        assert processes(world) == 20
        assert {name for name, _, _ in world.told()} == {f"c{number}" for number in range(20)}
        await asyncio.sleep(600)
        assert processes(world) == 0


async def test_processes_that_nobody_needs() -> None:
    """Are not asked for."""
    world = World()
    world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(600)
        assert processes(world) == 0


async def test_a_start_is_another_process() -> None:
    """It is asked for when the event comes, and sampled a second later."""
    world = World()
    world.source.needs_processes, world.source.period_s = True, 0.0
    web = world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(2)
        await world.engine.restart(web, timeout_s=1, deadline_s=5)
        await asyncio.sleep(0.1)
        assert processes(world) == 2
        world.told()
        await asyncio.sleep(1)
        assert world.told() == [("web", 0.0, 256)]


async def test_a_process_that_cannot_be_read_any_more() -> None:
    """It may have been restarted unseen: the engine is asked again, now and then."""
    world = World()
    world.source.needs_processes, world.source.period_s = True, 0.0
    world.source.unreadable = {world.engine.add("web", running=True)}
    async with world.session():
        await asyncio.sleep(REST_S - 1)
        assert processes(world) == 1
        await asyncio.sleep(60)
        assert 60 / (REST_S + RETRY_S) <= processes(world) <= 60 / REST_S
        world.source.unreadable = set()
        await asyncio.sleep(20)
        processes(world)
        await asyncio.sleep(600)
        assert processes(world) == 0


async def test_an_engine_that_does_not_tell_a_process() -> None:
    """It is asked again, and the others are sampled meanwhile."""
    world = World()
    world.source.needs_processes, world.source.period_s = True, 0.0
    world.engine.add("web", running=True)
    world.engine.failing["inspect_container"] = EngineBusy("4 reads")
    async with world.session():
        await asyncio.sleep(5)
        world.engine.failing.clear()
        assert world.samples == []
        await asyncio.sleep(REST_S + RETRY_S)
        assert world.told()[0] == ("web", 0.0, 256)


@pytest.mark.parametrize(("mode", "counts"), [("bridge", True), ("host", False)])
async def test_a_network_that_is_shared(mode: str, counts: bool) -> None:
    """Counts if its owner's does: the host's is nobody's."""
    world = World()
    world.source.needs_processes = True
    owner = world.engine.add("owner", running=True)
    guest = world.engine.add("guest", running=True)
    second = world.engine.add("second", running=True)
    world.engine.boxes[owner].host_config["NetworkMode"] = mode
    world.engine.boxes[guest].host_config["NetworkMode"] = f"container:{owner}"
    world.engine.boxes[second].host_config["NetworkMode"] = f"container:{guest}"
    async with world.session():
        await asyncio.sleep(6)
    seen = {run.name: run.process for run in world.telemetry._roster.runs()}
    assert {name: each and each.has_network for name, each in seen.items()} == {
        "owner": counts,
        "guest": counts,
        "second": counts,
    }


# What happened unseen


async def test_what_stopped_while_there_was_no_session() -> None:
    """The server still shows its last figures: zeros at the next session, but none for a history that has ended."""
    world = World()
    web = world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(1)
    world.engine.dies(web)
    await asyncio.sleep(1)
    world.told()
    world.history.samples.clear()
    async with world.session():
        await asyncio.sleep(1)
        assert world.told() == [("web", 0.0, 0)]
        assert world.history.samples == []


async def test_an_engine_that_came_back() -> None:
    """Containers are listed anew: one stopped while it was away, another runs."""
    world = World()
    web, db = world.engine.add("web", running=True), world.engine.add("db")
    async with world.session():
        await asyncio.sleep(1)
        world.told()
        world.engine.dies_unseen(web)
        world.engine.starts_unseen(db)
        world.telemetry.events_were_missed()
        await asyncio.sleep(TICK_S)
        assert world.told() == [("web", 0.0, 0), ("db", 0.0, 256)]


async def test_an_engine_that_does_not_answer_at_first() -> None:
    """Nobody is looked at until it is known who runs, and then at once."""
    world = World()
    world.engine.add("web", running=True)
    world.engine.down()
    async with world.session():
        await asyncio.sleep(42)
        assert world.source.looks == []
        world.engine.up()
        world.telemetry.events_were_missed()
        await asyncio.sleep(0.1)
        assert world.looks() == [(42.0, 1)]


async def test_an_engine_that_is_busy() -> None:
    """One that fails to list for a while is asked again every five seconds, whether somebody says so or not."""
    world = World()
    world.engine.add("web", running=True)
    world.engine.delay_s["containers"] = 1000
    async with world.session():
        await asyncio.sleep(21)
        world.engine.delay_s["containers"] = 0
        await asyncio.sleep(5)
        assert world.looks() == [(25.0, 1)]


async def test_a_start_that_no_event_told_of() -> None:
    """It is found within five minutes."""
    world = World()
    web = world.engine.add("web")
    async with world.session():
        await asyncio.sleep(1)
        world.engine.starts_unseen(web)
        world.told()
        await asyncio.sleep(306)
        assert ("web", 0.0, 256) in world.told()


# Rhythm and bounds


@pytest.mark.parametrize(
    ("interval_s", "period_s", "looks"),
    [(1.0, 0.0, 31), (0.5, 0.0, 61), (10.0, 0.0, 4), (1.0, 5.0, 7), (10.0, 5.0, 4)],
)
async def test_how_often(interval_s: float, period_s: float, looks: int) -> None:
    """As the operator says, unless that is too much for what is looked at."""
    world = World(interval_s=interval_s)
    world.source.period_s = period_s
    world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(30.1)
        assert len(world.looks()) == looks


async def test_a_link_that_cannot_keep_up() -> None:
    """While it has not taken the last samples there are no new ones, but for a few that history needs."""
    world = World()
    world.source.period_s = 0.0
    world.engine.add("web", running=True)
    async with world.session():
        await asyncio.sleep(4.5)
        world.channel.takes = False
        await asyncio.sleep(30)
        assert [at_s for at_s, _ in world.looks()] == [0, 1, 2, 3, 4, 5, 15, 25]
        world.channel.takes = True
        world.channel.take_all()
        await asyncio.sleep(4)
        assert [at_s for at_s, _ in world.looks()][8:] == [35, 36, 37, 38]


async def test_a_look_that_takes_longer_than_a_tick() -> None:
    """The ticks it missed are skipped, and the rhythm stays."""
    world = World()
    world.engine.add("web", running=True)
    world.source.takes_s = 7.0
    async with world.session():
        await asyncio.sleep(31)
        assert [at_s for at_s, _ in world.looks()] == [0.0, 10.0, 20.0, 30.0]


async def test_a_link_that_takes_its_time() -> None:
    """One batch at a time; meanwhile newer samples take the place of older ones."""
    world = World()
    for number in range(LEAST + 10):
        world.engine.add(f"c{number}", running=True)
    world.channel.takes = False
    async with world.session():
        await asyncio.sleep(31)
        assert len(world.samples) == LEAST
        assert {cpu for _, cpu, _ in world.told()} == {0.0}
        world.channel.take_all()
        await asyncio.sleep(0.1)
        waited_longest = world.told()
        assert len(waited_longest) == LEAST
        assert {cpu for _, cpu, _ in waited_longest} == {10.0}
        world.channel.take_all()
        await asyncio.sleep(0.1)
        assert len(world.told()) == 10
        world.channel.give_up()


async def test_a_link_that_is_full() -> None:
    """That batch is lost; the next is not."""
    world = World()
    world.source.period_s = 0.0
    world.engine.add("web", running=True)
    world.channel.is_full = True
    async with world.session():
        await asyncio.sleep(3.5)
        assert [at_s for at_s, _ in world.looks()] == [0.0, 2.0], (
            "as long as it is full, half as often"
        )
        world.channel.is_full = False
        await asyncio.sleep(1)
        assert world.told() == [("web", 10.0, 256)]


async def test_a_link_that_breaks() -> None:
    """Nothing of it is sent over the next one."""
    world = World()
    world.engine.add("web", running=True)
    world.channel.takes = False
    async with world.session():
        await asyncio.sleep(6)
        world.channel.cut()
        await asyncio.sleep(6)
    world.told()
    world.channel.is_live = world.channel.takes = True
    async with world.session():
        await asyncio.sleep(1)
        assert len(world.told()) == 1


# The host


async def test_the_host() -> None:
    """The first reading is what the others are measured against; from then on every two seconds, not as an event."""
    world = World()
    world.meter.is_blind = False
    async with world.session():
        await asyncio.sleep(1.9)
        assert world.channel.sent == []
        await asyncio.sleep(2.2)
    figures = {"cpu_percent": 25.0, "mem_percent": 60.0, "net_bytes_per_sec": 1000.0}
    assert world.channel.sent == [(Priority.SAMPLE, {"type": "stats", "stats": figures})] * 2


async def test_a_host_that_cannot_be_seen() -> None:
    """Nothing is said, so that the server adds up the containers."""
    world = World()
    async with world.session():
        await asyncio.sleep(60)
    assert world.channel.sent == []


async def test_a_host_that_cannot_be_seen_for_a_moment() -> None:
    """The next figures are the mean since the last ones."""
    world = World()
    world.meter.is_blind = False
    async with world.session():
        await asyncio.sleep(3)
        world.meter.is_blind = True
        await asyncio.sleep(2)
        world.meter.is_blind = False
        await asyncio.sleep(2)
    figures = {"cpu_percent": 25.0, "mem_percent": 60.0, "net_bytes_per_sec": 1000.0}
    assert world.channel.messages == [{"type": "stats", "stats": figures}] * 2


async def test_figures_of_the_host_and_a_slow_link() -> None:
    """One message waits at a time, and what follows it is new."""
    world = World()
    world.meter.is_blind = False
    world.channel.takes = False
    async with world.session():
        await asyncio.sleep(60)
        assert len(world.channel.sent) == 1
        world.channel.give_up()
