"""More than anybody can take: what is bounded stays so, what is urgent goes first, and no event is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from fakes.telemetry import FakeSource
from fakes.terminal import PIECE_BYTES, FakeTerminal
from scenarios.world import World

from agent.core.log_lines import NOTICE
from agent.core.replies import MAX_MESSAGE_BYTES
from agent.core.roster import Run
from agent.core.shell_buffers import FRAME_BYTES, OUTPUT_HIGH_BYTES
from agent.core.stats import Counters
from agent.features.shell_output import GATHER_S, WINDOW_BYTES
from agent.hub.host import Host
from agent.hub.journal import Entry
from agent.hub.shells import Shell
from agent.runtime.event_buffer import BUFFER
from agent.runtime.stats_link import FRESH_S
from agent.runtime.uplink import PROGRESS_S

COUNTED = b"".join(b"%09d\n" % number for number in range(600_000))
"""What a process writes: 6 MB, more than any of these tests can show. No two lines are the same."""

STALL_S = 30.0

STAMP = "2026-01-01T00:00:00.000000000Z"


class DatedFigures(FakeSource):
    """Of each container the memory says when it was looked at, in seconds of the loop's time."""

    async def read(self, runs: Sequence[Run]) -> Mapping[str, Counters]:
        at_s = int(asyncio.get_running_loop().time())
        found = await super().read(runs)
        return {key: used._replace(memory_usage_bytes=at_s) for key, used in found.items()}


def boxes(world: World, count: int, *, running: bool = False) -> list[str]:
    return [world.engine.add(f"box{number:03}", running=running) for number in range(count)]


def told(world: World, host: Host) -> list[tuple[str, str]]:
    """(container, effect) as the server has it, in order."""
    return [(event["container_name"], event["effect"]) for event in world.hub.events(host.id)]


async def flooding(world: World, host: Host, container: str) -> tuple[Shell, FakeTerminal]:
    """A shell in which a process writes and writes."""
    shell = await world.hub.open_shell(host.id, container)
    await shell.started_or_ended(10)
    terminal = world.engine.terminals[-1]
    terminal.writes(COUNTED)
    return shell, terminal


def kind(entry: Entry) -> str:
    """What came from the agent: the name of an event, else `reply`; what went to it, else."""
    if entry.direction == "out":
        return "request"
    return str(entry.frame.get("command") or "reply")


def fill_log(world: World, container: str, lines: int, chars: int = 1000) -> None:
    log = world.engine.boxes[container].log
    log.extend((STAMP, 1, f"{at:05} {'x' * chars}") for at in range(lines))


def asked(world: World, host: Host, name: str, /, **payload: Any) -> asyncio.Task[Any]:
    """The reply to come."""
    request = world.hub.request(host.id, name, payload or None)
    return asyncio.get_running_loop().create_task(request)


def is_new(entry: Entry, since_s: float) -> bool:
    """Whether it came from the agent, is no output of a shell, and tells of something since then."""
    if kind(entry) == "container_stats":
        return int(entry.frame["payload"]["memory_usage"]) >= since_s
    return kind(entry) in ("reply", "container_event")


# --- A shell


async def test_a_shell_that_floods_its_terminal() -> None:
    """The process waits for the link: what it is ahead of the browser is bounded, and a reply passes all of it."""
    async with World(poll_s=None) as world:
        web = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        shell, terminal = await flooding(world, host, web)
        since_s = asyncio.get_running_loop().time()
        for _ in range(50):
            await asyncio.sleep(0.05)
            begun = len(world.hub.journal)
            assert len(await world.hub.request(host.id, "list_containers")) == 1
            between = [kind(entry) for entry in list(world.hub.journal)[begun:]]
            assert between.count("shell_data") <= 2
            ahead_bytes = len(COUNTED) - terminal.unread_bytes - len(shell.output)
            assert ahead_bytes <= OUTPUT_HIGH_BYTES + PIECE_BYTES + 2 * FRAME_BYTES
        lasted_s = asyncio.get_running_loop().time() - since_s
        assert 0 < len(shell.output) <= FRAME_BYTES * (lasted_s / GATHER_S + 2)
        assert COUNTED.startswith(shell.output)
        await shell.close()
        assert world.hub.complaints == []


async def test_a_shell_that_floods_a_slow_server() -> None:
    """What its kernel holds back would be in the way of a reply, so there is never much: the browser takes it first."""
    async with World(poll_s=None) as world:
        web = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        world.hub.faults.throttle(host, 100_000)
        shell, _ = await flooding(world, host, web)
        for _ in range(5):
            await asyncio.sleep(3)
            begun = len(world.hub.journal)
            await world.hub.request(host.id, "list_containers")
            between = [kind(entry) for entry in list(world.hub.journal)[begun:]]
            assert between.count("shell_data") <= WINDOW_BYTES / FRAME_BYTES + 1
        assert COUNTED.startswith(shell.output)
        assert len(shell.output) >= 500_000
        await shell.close()
        assert world.hub.complaints == []


async def test_sixteen_shells_that_flood() -> None:
    """Each gets its share, and a reply still passes all of them."""
    async with World(poll_s=None) as world:
        web = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        shells = [(await flooding(world, host, web))[0] for _ in range(16)]
        for _ in range(10):
            await asyncio.sleep(0.05)
            begun = len(world.hub.journal)
            await world.hub.request(host.id, "list_containers")
            between = [kind(entry) for entry in list(world.hub.journal)[begun:]]
            assert between.count("shell_data") <= 2 * len(shells)
        shares = [len(shell.output) for shell in shells]
        assert min(shares) > 0
        assert max(shares) <= min(shares) + 2 * FRAME_BYTES
        for shell in shells:
            assert COUNTED.startswith(shell.output)
            await shell.close()


# --- Logs


async def test_logs_that_are_as_large_as_can_be() -> None:
    """A short question that comes later is answered before. Each has the newest lines, as large as a reply may be."""
    async with World(poll_s=None) as world:
        web = world.engine.add("web", running=True)
        stamp = "2026-01-01T00:00:00.000000000Z"
        world.engine.boxes[web].log.extend(
            (stamp, 1, f"{at:05} {'x' * 2000}") for at in range(10_000)
        )
        world.start()
        host = await world.online()
        wanted = {"container_id": web[:12], "tail": 10_000}
        logs = [asked(world, host, "get_logs", **wanted) for _ in range(3)]
        assert len(await asked(world, host, "list_containers")) == 1
        assert not any(task.done() for task in logs)
        for text in [reply["logs"] for reply in await asyncio.gather(*logs)]:
            notice, *lines = text.split("\n")
            assert notice == f"{STAMP} {NOTICE}"
            assert [int(line.split()[1]) for line in lines] == list(
                range(10_000 - len(lines), 10_000)
            )
            assert MAX_MESSAGE_BYTES * 0.99 < len(text) < MAX_MESSAGE_BYTES
        assert world.hub.complaints == []


# --- Events


async def test_three_hundred_containers_that_start_at_once() -> None:
    """Each start is told once, in order; who asks meanwhile is answered at once, and sees all of them."""
    async with World(poll_s=None) as world:
        containers = boxes(world, 300)
        world.start()
        host = await world.online()
        begun = len(world.hub.journal)
        async with asyncio.TaskGroup() as starting:
            for container in containers:
                starting.create_task(world.engine.start(container, deadline_s=30))
        listed = await world.hub.request(host.id, "list_containers")
        assert [each["State"] for each in listed] == ["running"] * 300
        between = [kind(entry) for entry in list(world.hub.journal)[begun:]]
        assert between.count("container_event") <= 50
        await asyncio.sleep(10)
        assert len(world.engine.actions) == 300
        assert told(world, host) == [(name, "started") for _, name in world.engine.actions]
        assert world.store.undelivered == set()
        assert world.hub.complaints == []


async def test_health_probes_by_the_thousand() -> None:
    """Three events for each probe are the engine's own business: nothing of them is read, and all else arrives."""
    async with World(poll_s=None) as world:
        web = world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        box = world.engine.boxes[web]
        for _ in range(20):
            for _ in range(1000):
                world.engine.emit("exec_create: true", box)
                world.engine.emit("exec_start: true", box)
                world.engine.emit("exec_die", box, exitCode="0")
            await world.engine.restart(web, timeout_s=1, deadline_s=30)
        await asyncio.sleep(10)
        assert told(world, host) == [("web", "died"), ("web", "started"), ("web", "restarted")] * 20
        assert len(world.timeline("engine")) == 2  # as at the start: nothing overran


async def test_more_events_than_can_be_kept() -> None:
    """What overran is concluded from the containers: in the end the server knows each as it is."""
    async with World(poll_s=None) as world:
        web, dies = world.engine.add("web", running=True), world.engine.add("dies", running=True)
        starts = world.engine.add("starts")
        world.start()
        host = await world.online()
        box = world.engine.boxes[web]
        world.engine.dies(dies, exit_code=3)
        await world.engine.start(starts, deadline_s=30)
        for _ in range(BUFFER + 1):
            world.engine.emit("restart", box)
        await asyncio.sleep(60)
        await world.until("following", chart="engine")
        await asyncio.sleep(60)
        assert "StreamOverran" in [event for _, event, _ in world.timeline("engine")]
        of_others = [(name, effect) for name, effect in told(world, host) if name != "web"]
        assert of_others == [("dies", "died"), ("starts", "started")]
        assert world.store.undelivered == set()
        assert world.hub.complaints == []


# --- A server that reads nothing for half a minute


async def test_a_server_that_stops_reading_in_the_middle_of_a_reply() -> None:
    """After ten seconds without progress the link is made anew: the reply and every event come over the next one."""
    async with World(poll_s=None) as world:
        containers = boxes(world, 20, running=True)
        fill_log(world, containers[0], 10_000)
        world.figures = DatedFigures()
        world.start()
        host = await world.online()
        await asyncio.sleep(11)
        world.hub.faults.stop_reading(host)
        stopped_s = asyncio.get_running_loop().time()
        log = asked(world, host, "get_logs", container_id=containers[0][:12], tail=10_000)
        for container in containers:
            await asyncio.sleep(1)
            world.engine.dies(container)
            await world.engine.start(container, deadline_s=30)
        assert len((await log)["logs"].split("\n")) == 10_000
        await asyncio.sleep(stopped_s + STALL_S - asyncio.get_running_loop().time())
        world.hub.faults.heal()
        await asyncio.sleep(30)
        assert told(world, host) == [
            (f"box{number:03}", effect)
            for number in range(len(containers))
            for effect in ("died", "started")
        ]
        assert [line[1:] for line in world.timeline()[2:]] == [
            ("LinkLost", "backoff"),
            ("RetryDue", "registering"),
            ("Registered", "connected"),
        ]
        assert world.store.undelivered == set()
        assert world.hub.complaints == []


@pytest.mark.parametrize("reads_again_after_s", [8.0, STALL_S])
async def test_what_goes_first_when_it_reads_again(reads_again_after_s: float) -> None:
    """Replies go before events, and these before samples, be it over this link or the next."""
    async with World(poll_s=None) as world:
        containers = boxes(world, 20, running=True)
        fill_log(world, containers[0], 10_000)
        world.figures = DatedFigures()
        world.start()
        host = await world.online()
        await asyncio.sleep(11)
        world.hub.faults.stop_reading(host)
        stopped, stopped_s = len(world.hub.journal), asyncio.get_running_loop().time()
        log = asked(world, host, "get_logs", container_id=containers[0][:12], tail=10_000)
        await asyncio.sleep(5)  # by now the way there is full of it, and samples wait behind
        for container in containers[:10]:
            world.engine.dies(container)
        await asyncio.sleep(1)
        listing = asked(world, host, "list_containers")
        await asyncio.sleep(stopped_s + reads_again_after_s - asyncio.get_running_loop().time())
        world.hub.faults.heal()
        assert [each["State"] for each in await listing].count("exited") == 10
        assert len((await log)["logs"].split("\n")) == 10_000
        await asyncio.sleep(30)
        assert host.connections == (1 if reads_again_after_s < PROGRESS_S else 2)
        came = [entry for entry in list(world.hub.journal)[stopped:] if is_new(entry, stopped_s)]
        assert list(dict.fromkeys(map(kind, came))) == [
            "reply",
            "container_event",
            "container_stats",
        ]
        assert told(world, host) == [(f"box{number:03}", "died") for number in range(10)]
        assert world.hub.complaints == []


async def test_a_reply_that_got_stuck_on_its_way() -> None:
    """It was written, and nobody read it before the link was given up: it comes over the next."""
    async with World(poll_s=None) as world:
        [web] = boxes(world, 1, running=True)
        fill_log(world, web, 10_000)
        world.start()
        host = await world.online()
        world.hub.faults.stop_reading(host)
        listing = asked(world, host, "list_containers")
        await asyncio.sleep(1)
        log = asked(world, host, "get_logs", container_id=web[:12], tail=10_000)
        assert len(await listing) == 1
        assert len((await log)["logs"].split("\n")) == 10_000
        assert host.connections == 2
        assert world.hub.complaints == []


async def test_a_history_that_stops_reading() -> None:
    """Samples for it are dropped, not sent late; the other socket goes on as if nothing were."""
    async with World(poll_s=None) as world:
        containers = boxes(world, 300, running=True)
        world.figures = DatedFigures()
        world.start()
        host = await world.online()
        await asyncio.sleep(11)
        world.hub.faults.stop_reading(host, on="stats")
        await asyncio.sleep(STALL_S)
        world.engine.dies(containers[0])
        assert len(await world.hub.request(host.id, "list_containers")) == 300
        world.hub.faults.heal()
        await asyncio.sleep(STALL_S)
        for container in containers[1:]:
            latest = world.hub.metrics.container(host.id, container)
            assert latest is not None
            assert latest.count == 15
            points = world.hub.history.of(host.id, container)
            assert max(point.at - point.sample.memory_usage for point in points) <= FRESH_S + 1
            assert points[-1].sample.memory_usage >= 70
        assert told(world, host) == [("box000", "died")]
        assert len(world.timeline()) == 2  # the first connection holds
        assert world.hub.complaints == []
