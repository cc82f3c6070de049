"""One world on frozen time: a hub, an engine, a data directory, and an agent that lives and dies among them.

Hub and agent talk over real sockets on loopback; only the engine and the store are fakes behind our own ports.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from fakes.engine import FakeEngine
from fakes.http_probe import FakeProbe
from fakes.store import MemoryStore
from fakes.telemetry import FakeMeter

from agent.adapters.compose_files import LocalComposeFiles
from agent.adapters.no_update import NoSelfUpdate
from agent.adapters.stack_files import StackFiles
from agent.adapters.websocket import WebSocketServer
from agent.assembly import Agent, MakeSelfUpdate, Ports, assemble
from agent.clock import utcnow
from agent.core.backoff import Backoff
from agent.core.machine import StopRequested
from agent.core.own_container import OwnContainer
from agent.core.roster import Run
from agent.core.stats import Counters
from agent.features.catalogue import ComposeTools, Equipment, catalogue
from agent.hub.host import Host
from agent.hub.server import Hub
from agent.ports import HostLook, Launcher, SelfUpdate, StatsSource
from agent.runtime.registrar import Presentation
from agent.runtime.runtime import Move

STORIES = Path(__file__).parent / "stories"

Line = tuple[float, str, str]
"""(loop time in s, event, state afterwards), as a timeline shows it."""


class Tokens:
    """What an operator gave, to be changed while the agent runs."""

    registration_token: str | None = None
    permanent_token: str | None = None


class QuietBeat:
    """Counts pulses: a scenario needs no watchdog, its loop raises when it is stuck."""

    def __init__(self) -> None:
        self.pulses = 0

    def pulse(self, states: object) -> None:
        self.pulses += 1


class NoFigures:
    """Samples every few seconds are noise in a scenario that is not about them."""

    period_s = 5.0
    needs_processes = False

    async def read(self, runs: Sequence[Run]) -> Mapping[str, Counters]:
        return {}


class NamedHost:
    def look(self, *, container_subnets: Sequence[str]) -> HostLook:
        return HostLook(name="rack7", machine="x86_64", addresses=("192.0.2.7",))


class World:
    """Use it as a context manager; `start` an agent, let time pass, read the `timeline`.

    Args:
        poll_s: How often the hub asks for the containers; None for never.
        seed: Of all randomness.
    """

    def __init__(self, *, poll_s: float | None = 10.0, seed: int = 7) -> None:
        self.hub = Hub(poll_s=poll_s)
        self.engine = FakeEngine()
        self.store = MemoryStore()
        self.figures: StatsSource = NoFigures()
        self.meter = FakeMeter()
        self.meter.is_blind = True
        self.http = FakeProbe()
        self.tokens = Tokens()
        self.update: SelfUpdate = NoSelfUpdate()
        self.make_update: MakeSelfUpdate | None = None
        self.launcher: Launcher | None = None
        self.own: OwnContainer | None = None
        self.rng = random.Random(seed)
        self.moves: list[Move] = []
        self.agent: Agent
        self.beat = QuietBeat()
        self._running: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.hub)
        self.tokens.registration_token = self.hub.new_token()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.kill()
        await self._stack.__aexit__(kind, error, trace)

    # The agent

    def start(self, *, backoff: Backoff | None = None, agent_name: str = "") -> None:
        """A new process on this world's data directory."""
        agent = assemble(
            Ports(
                server=WebSocketServer(f"{self.hub.url}/api/agent/ws"),
                history=lambda token: WebSocketServer(
                    f"{self.hub.url}/api/stats/ws/ingest", bearer=token
                ),
                engine=self.engine,
                store=self.store,
                host=NamedHost(),
                update=self.make_update or (lambda *_: self.update),
                beat=self.beat,
                clock=utcnow,
                rng=self.rng,
                launcher=self.launcher,
                own=(self.own.id, "agent") if self.own else ("", ""),
            ),
            Presentation("3.0.0", "1.1", agent_name),
            backoff=backoff or Backoff(1.0, 60.0),
            credentials=lambda: self.tokens,
            features=lambda services, history: catalogue(services, self.equipment(), history),
            strict=True,
        )
        self.agent = agent
        agent.runtime.observe(self._moved)
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(agent.runtime.run(), name="agent")

    def equipment(self) -> Equipment:
        return Equipment(
            stats=self.figures,
            meter=self.meter,
            http=self.http,
            compose=ComposeTools(None, StackFiles(Path("/nonexistent")), "not here"),
            compose_files=LocalComposeFiles(),
            home="/nonexistent",
            own=self.own,
        )

    async def ends(self, *, within_s: float = 60.0) -> None:
        """Waits until the process has ended by itself."""
        assert self._running is not None
        async with asyncio.timeout(within_s):
            await self._running
        self._running = None
        self.store = self.store.restarted()

    async def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self.agent.runtime.post(StopRequested("SIGTERM"))
        assert self._running is not None
        await self._running

    async def kill(self) -> None:
        """SIGKILL: nothing is said, nothing is saved, the sockets break. Raises what the agent failed of before."""
        if self._running is None:
            return
        if not self._running.done():
            self.agent.session.abort()
            self._running.cancel()
            await asyncio.wait({self._running})
        if not self._running.cancelled() and (error := self._running.exception()) is not None:
            raise error
        self._running = None
        self.store = self.store.restarted()

    # What happened

    def _moved(self, move: Move) -> None:
        self.moves.append(move)
        self._changed.set()

    def timeline(self, chart: str = "lifecycle") -> list[Line]:
        """Every event of `chart` that was decided, with its instant and the state after it."""
        return [
            (round(move.at_s, 3), type(move.event).__name__, move.after)
            for move in self.moves
            if move.chart == chart
        ]

    def assert_told(self, name: str) -> None:
        """The whole timeline is what `stories/` says, a line each: for those too long to stand in a test.

        Where it has changed for a reason, put what the failure prints into the file.
        """
        story = "".join(
            f"{at_s:>12.3f}  {event:<16} {after}\n" for at_s, event, after in self.timeline()
        )
        assert story == (STORIES / f"{name}.txt").read_text(), story

    async def until(self, state: str, *, chart: str = "lifecycle", within_s: float = 120.0) -> None:
        """Waits until `chart` is in `state`."""
        async with asyncio.timeout(within_s):
            while self.agent.runtime.states()[chart] != state:
                self._changed.clear()
                await self._changed.wait()

    async def until_in(self, chart: str, state: str, *, within_s: float = 200.0) -> None:
        """The same for a chart that is not there all the time; no moment of it is missed."""
        async with asyncio.timeout(within_s):
            while self.agent.runtime.states().get(chart) != state:
                self._changed.clear()
                with contextlib.suppress(
                    TimeoutError
                ):  # it may begin in that state, which is no move
                    async with asyncio.timeout(0.05):
                        await self._changed.wait()

    async def online(self, *, within_s: float = 120.0) -> Host:
        """Waits until the lifecycle is connected and the engine followed; returns the host as the hub has it."""
        await self.until("connected", within_s=within_s)
        await self.until("following", chart="engine", within_s=within_s)
        return next(host for host in self.hub.hosts.values() if host.online)
