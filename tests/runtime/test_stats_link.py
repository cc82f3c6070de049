"""The second socket on frozen time: it opens, it is fed, it breaks, and it never keeps anybody waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.machines import LongestDelays
from fakes.link import FakeLink
from runtime.kitchen import CountedBeat

from agent.clock import utcnow
from agent.core.batch_size import LEAST, MOST
from agent.core.chart import Chart
from agent.core.encoded_sample import encode_sample
from agent.core.failures import Failure, FailureKind
from agent.core.identity import Identity
from agent.core.machine import StopRequested
from agent.core.stats import Counters, sample
from agent.core.stats_link import StatsLink as Machine
from agent.ports import DialFailed, Json
from agent.runtime.region import Region
from agent.runtime.runtime import Move, Runtime
from agent.runtime.stats_link import CAPACITY, StatsLink

REFUSED = Failure(FailureKind.TCP, "dockmon.example:443 refused the connection")
NO_HISTORY = Failure(FailureKind.HTTP, "dockmon.example:443 answered 404", status=404)


class Service:
    """The server's end.

    Attributes:
        dials: (loop time, token shown) of each attempt.
        links: Every connection there ever was, newest last.
        refuses: If set, why no dial succeeds.
    """

    def __init__(self) -> None:
        self.dials: list[tuple[float, str]] = []
        self.links: list[FakeLink] = []
        self.refuses: Failure | None = None

    @property
    def link(self) -> FakeLink:
        return self.links[-1]

    def connect(self, token: str) -> Door:
        return Door(self, token)


class Door:
    """What is dialled with one token."""

    def __init__(self, service: Service, token: str) -> None:
        self._service, self._token = service, token

    async def dial(self, *, deadline_s: float) -> FakeLink:
        self._service.dials.append((round(now_s(), 3), self._token))
        if self._service.refuses is not None:
            raise DialFailed(self._service.refuses)
        self._service.links.append(FakeLink())
        return self._service.link


class Running:
    """The chart on a runtime, and what it did."""

    def __init__(self) -> None:
        self.service = Service()
        self.stats_link = StatsLink(self.service.connect)
        self.moves: list[Move] = []
        self.runtime = Runtime(beat=CountedBeat(), strict=True)
        self.runtime.observe(self.moves.append)
        machine = Machine(Chart.load("stats_link"), rng=LongestDelays())
        resources = {"stats_socket": self.stats_link}
        self.runtime.add(Region(machine, self.stats_link.by_name(), resources))

    @asynccontextmanager
    async def running(self, token: str = "agent-1") -> AsyncIterator[Service]:  # noqa: S107  made up
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.runtime.run())
            if token:
                self.welcome(token)
            await asyncio.sleep(0.01)
            yield self.service
            self.runtime.post(StopRequested("the test is over"))

    def welcome(self, token: str = "agent-1") -> None:  # noqa: S107  made up
        self.stats_link.welcomed(Identity(permanent_token=token, agent_id=token))

    def offer(self, *names: str, used: int = 256) -> None:
        self.offer_all([told(name, used) for name in names])

    def offer_all(self, payloads: list[Json]) -> None:
        self.stats_link.offer([encode_sample(payload) for payload in payloads])

    def timeline(self) -> list[tuple[float, str, str]]:
        return [(round(m.at_s, 1), type(m.event).__name__, m.after) for m in self.moves]


def told(name: str, used: int = 256) -> Json:
    figures = Counters(memory_usage_bytes=used)
    return sample(None, figures, container_id=name, name=name, at=utcnow())


def now_s() -> float:
    return asyncio.get_running_loop().time()


def received(link: FakeLink) -> list[tuple[str, int]]:
    """(name, memory) of each sample."""
    return [(message["container_name"], message["memory_usage"]) for message in link.messages]


# Streaming


async def test_from_the_first_registration_on() -> None:
    """Not before there is a token; then samples go out as they come, many in one write, without an envelope."""
    running = Running()
    async with running.running(token="") as service:
        await asyncio.sleep(60)
        assert service.dials == []
        running.welcome()
        await asyncio.sleep(1)
        assert [token for _, token in service.dials] == ["agent-1"]
        samples = [told("web"), told("db")]
        running.offer_all(samples)
        await asyncio.sleep(0.01)
        [write] = service.link.writes
        assert len(write) == 2
        assert service.link.messages == samples
    assert service.link.closing == (1000, "")


async def test_samples_offered_before_there_is_a_socket() -> None:
    """Those not older than half a minute are sent when there is one."""
    running = Running()
    async with running.running(token="") as service:
        running.offer("web")
        await asyncio.sleep(20)
        running.offer("db")
        await asyncio.sleep(20)
        running.welcome()
        await asyncio.sleep(0.1)
        assert received(service.link) == [("db", 256)]


async def test_a_service_that_takes_its_time() -> None:
    """Whoever offers does not wait; of each container only the newest sample is sent then."""
    running = Running()
    async with running.running() as service:
        service.link.takes_s = 4.0
        running.offer("web", "db", used=1)
        await asyncio.sleep(1)
        for used in range(2, 5):
            running.offer("web", used=used)
        running.offer("db", used=9)
        await asyncio.sleep(8)
        assert received(service.link) == [("web", 1), ("db", 1), ("web", 4), ("db", 9)]


async def test_many_containers() -> None:
    """As many frames in one write as make some 60 kB; beyond a bound, the oldest are dropped."""
    running = Running()
    async with running.running() as service:
        running.offer(*(f"c{number}" for number in range(CAPACITY + 5)))
        await asyncio.sleep(0.1)
        sizes = [len(write) for write in service.link.writes]
        assert sizes[:2] == [LEAST, 2 * LEAST]
        assert set(sizes[2:-1]) == {MOST}
        names = [name for name, _ in received(service.link)]
        assert names == [f"c{number}" for number in range(5, CAPACITY + 5)]


async def test_a_tick() -> None:
    """All of its samples leave in one write, once the link has proved to take them."""
    running = Running()
    async with running.running() as service:
        for used in range(4):
            running.offer(*(f"c{number}" for number in range(MOST)), used=used)
            await asyncio.sleep(1)
        assert len(service.link.writes[-1]) == MOST
        assert {used for _, used in received(service.link)[-MOST:]} == {3}


async def test_a_link_that_gets_slow() -> None:
    """Less is sent at a time, for our pings and the server's have to get through."""
    running = Running()
    async with running.running() as service:
        running.offer(*(f"c{number}" for number in range(2 * MOST)))
        await asyncio.sleep(1)
        service.link.pong_after_s = 3.0
        running.offer(*(f"c{number}" for number in range(2 * MOST)))
        await asyncio.sleep(30)
        assert [len(write) for write in service.link.writes[-4:]] == [MOST, *[LEAST] * 3]


async def test_a_sample_that_the_service_would_choke_on() -> None:
    """It is left out, and the socket lives."""
    running = Running()
    async with running.running() as service:
        running.offer_all([told("odd") | {"network_rx": 12.0}, told("web")])
        running.offer_all([told("odd") | {"disk_read": -1}])
        await asyncio.sleep(0.1)
        assert received(service.link) == [("web", 256)]


# Links that end


async def test_a_link_that_breaks() -> None:
    """It is dialled again, soon at first; samples that came meanwhile are sent if they are fresh."""
    running = Running()
    async with running.running() as service:
        await asyncio.sleep(4.99)
        service.link.cut()
        await asyncio.sleep(0.1)
        running.offer("web")
        await asyncio.sleep(2)
        assert received(service.link) == [("web", 256)]
    assert running.timeline() == [
        (0.0, "TokenKnown", "dialling"),
        (0.0, "LinkOpened", "streaming"),
        (5.0, "LinkLost", "backoff"),
        (6.0, "RetryDue", "dialling"),
        (6.0, "LinkOpened", "streaming"),
        (7.1, "StopRequested", "stopped"),
    ]


async def test_a_service_that_is_silent() -> None:
    """It sends no pings itself, so ours tell: one every 20 s, and the pong has 20 s."""
    running = Running()
    async with running.running() as service:
        service.link.is_silent = True
        await asyncio.sleep(41)
        assert service.links[0].is_aborted
    [lost] = [move for move in running.moves if type(move.event).__name__ == "LinkLost"]
    assert (round(lost.at_s), str(lost.event)) == (
        40,
        "link_lost: silence: no pong within 20 s",
    )


async def test_a_service_that_stops_reading() -> None:
    """A write has ten seconds to get on; nobody who offers notices."""
    running = Running()
    async with running.running() as service:
        service.link.is_stalled = True
        running.offer("web")
        await asyncio.sleep(10.5)
        assert service.links[0].is_aborted
        await asyncio.sleep(1)
        assert len(service.links) == 2


async def test_a_link_that_lives() -> None:
    """Pings every 20 s, and nothing else when there is nothing to tell."""
    running = Running()
    async with running.running() as service:
        await asyncio.sleep(65)
        assert [round(at_s) for at_s in service.link.pings_s] == [20, 40, 60]
        assert service.link.writes == []


# Dials that fail


async def test_a_service_that_is_away() -> None:
    """Ever more seldom, at most every half minute."""
    running = Running()
    running.service.refuses = REFUSED
    async with running.running() as service:
        await asyncio.sleep(95)
    assert [at_s for at_s, _ in service.dials] == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 61.0, 91.0]


async def test_a_server_without_history() -> None:
    """Asked again after minutes, or when the agent is registered again: perhaps the server was replaced."""
    running = Running()
    running.service.refuses = NO_HISTORY
    async with running.running() as service:
        await asyncio.sleep(599)
        assert len(service.dials) == 1
        await asyncio.sleep(10)
        assert len(service.dials) == 2
        await asyncio.sleep(100)
        service.refuses = None
        running.welcome()
        await asyncio.sleep(0.1)
        assert service.link.is_open


# Tokens


async def test_another_token() -> None:
    """The old socket is closed and a new one opened with the new token."""
    running = Running()
    async with running.running() as service:
        await asyncio.sleep(5)
        running.welcome("agent-2")
        await asyncio.sleep(0.1)
        assert [token for _, token in service.dials] == ["agent-1", "agent-2"]
        assert service.links[0].closing == (1000, "")
        assert service.link.is_open


async def test_the_same_token_again() -> None:
    """The main socket was away for a moment: this one is none the worse for it."""
    running = Running()
    async with running.running() as service:
        for _ in range(3):
            await asyncio.sleep(5)
            running.welcome()
        await asyncio.sleep(5)
        assert len(service.dials) == 1


async def test_another_token_while_it_is_dialled_again() -> None:
    """What was refused to the old one is tried with the new one at once."""
    running = Running()
    running.service.refuses = Failure(FailureKind.HTTP, "answered 401", status=401)
    async with running.running() as service:
        await asyncio.sleep(5)
        service.refuses = None
        running.welcome("agent-2")
        await asyncio.sleep(0.1)
        assert [token for _, token in service.dials] == ["agent-1", "agent-2"]
        assert service.link.is_open
