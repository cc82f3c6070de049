"""What containers use, sampled while there is a session: an old sample is worth nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from agent.core.roster import Roster, Run
from agent.core.stats import Counters, sample, zero_sample
from agent.features.host_figures import HostFigures
from agent.features.sample_queue import SampleQueue
from agent.ports import (
    Channel,
    Clock,
    Engine,
    EngineError,
    HostMeter,
    Json,
    SampleSink,
    Scope,
    StatsSource,
)

TICK_S = 5.0
"""From one look at a container to the next: each costs the engine about 4 ms of CPU time."""

LIST_S = 20.0
RETRY_S = 5.0

RELIST_S = 300.0
"""What the engine drops from its stream of events leaves no trace in it."""

log = logging.getLogger("agent.telemetry")


class Telemetry:
    """The lifecycle's resource `telemetry`. `notice` and `engine_came_back` keep it knowing who runs.

    Args:
        stats_link: Gets every sample as well: the server's history is fed through another socket.
    """

    def __init__(
        self,
        engine: Engine,
        channel: Channel,
        source: StatsSource,
        meter: HostMeter,
        clock: Clock,
        *,
        stats_link: SampleSink | None = None,
    ) -> None:
        self._engine, self._source = engine, source
        self._clock, self._stats_link = clock, stats_link
        self._host = HostFigures(channel, meter)
        self._queue = SampleQueue(channel, clock)
        self._roster = Roster()
        self._stale, self._listed = asyncio.Event(), asyncio.Event()
        self._is_held = False

    # The resource

    def acquire(self, scope: Scope) -> None:
        self._is_held = True
        self._listed.clear()
        self._stale.set()
        scope.spawn(self._keep_roster(), "roster")
        scope.spawn(self._look(), "containers")
        scope.spawn(self._queue.send(), "sender")
        scope.spawn(self._host.send(), "host")

    async def release(self) -> None:
        self.abort()

    def abort(self) -> None:
        self._is_held = False
        self._queue.clear()

    # What the engine tells

    def notice(self, event: Json) -> None:
        """Takes in an Engine API event. Of a stopped container the server would show the last sample for ever."""
        ended = self._roster.notice(event)
        if ended is not None and self._is_held:
            self._offer([self._zero(ended)])

    def engine_came_back(self) -> None:
        """Events may have been missed: asks who runs."""
        self._stale.set()

    # What we ask it

    async def _keep_roster(self) -> None:
        while True:
            self._stale.clear()
            try:
                with self._roster.listing():
                    listed = await self._engine.containers(deadline_s=LIST_S)
                    idle = self._roster.listed(listed)
            except EngineError as error:
                log.debug("who runs is not known: %s", error)
                await self._until_stale(RETRY_S)
                continue
            # They may have stopped unseen, by us or by a process before us.
            self._queue.put(map(self._zero, idle))
            self._listed.set()
            await self._until_stale(RELIST_S)

    async def _until_stale(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._stale.wait()
        except TimeoutError:
            pass

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        await self._listed.wait()
        tick_s = loop.time()
        while True:
            runs = self._roster.runs()
            found = await self._source.read([run.container_id for run in runs])
            self._offer(self._samples(runs, found))
            # A look that takes longer costs the next one: they never pile up, and the rhythm stays.
            while tick_s <= loop.time():
                tick_s += TICK_S
            await asyncio.sleep(tick_s - loop.time())

    # Samples

    def _samples(self, runs: Sequence[Run], found: Mapping[str, Counters]) -> list[Json]:
        at = self._clock()
        samples = []
        for run in runs:
            now = found.get(run.container_id)
            if now is None or not self._roster.has(run):
                continue  # it ended meanwhile: its last sample is zero
            told = sample(run.before, now, container_id=run.container_id, name=run.name, at=at)
            samples.append(told)
            run.before = now
        return samples

    def _zero(self, run: Run) -> Json:
        return zero_sample(container_id=run.container_id, name=run.name, at=self._clock())

    def _offer(self, samples: Sequence[Json]) -> None:
        self._queue.put(samples)
        if self._stats_link is not None:
            self._stats_link.offer(samples)
