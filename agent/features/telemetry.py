"""What containers use, sampled while there is a session: an old sample is worth nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from agent.core.encoded_sample import EncodedSample, encode_sample
from agent.core.roster import Roster, Run
from agent.core.stats import Counters, sample, zero_sample
from agent.features.host_figures import HostFigures
from agent.features.inspections import Inspections
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

TICK_S = 1.0
"""From one look at the containers to the next, unless the operator says otherwise."""

BEHIND_S = 10.0
"""While the link has not taken the last samples there is no need for new ones, up to this time: the server's history
gets the same samples, and wants some every few seconds."""

LIST_S = 20.0
INSPECT_S = 5.0
INSPECTS_AT_ONCE = 2

REST_S = 10.0
"""How soon to ask again for a process that the engine did not tell, or of which nothing could be read."""

SHARED_DEPTH = 8
"""A container shares the network of one that shares another's: nobody does that more often."""

RETRY_S = 5.0

RELIST_S = 300.0
"""What the engine drops from its stream of events leaves no trace in it."""

log = logging.getLogger("agent.telemetry")


class Telemetry:
    """The lifecycle's resource `telemetry`. `notice` and `events_were_missed` keep it knowing who runs.

    Args:
        interval_s: From one look to the next, where neither the source nor the link needs more time.
        stats_link: Gets every sample as well: the server's history is fed through another socket.
    """

    def __init__(
        self,
        engine: Engine,
        inspections: Inspections,
        channel: Channel,
        source: StatsSource,
        meter: HostMeter,
        clock: Clock,
        *,
        interval_s: float = TICK_S,
        stats_link: SampleSink | None = None,
    ) -> None:
        self._engine, self._inspections, self._source = engine, inspections, source
        self._interval_s = interval_s
        self._clock, self._stats_link = clock, stats_link
        self._host = HostFigures(channel, meter)
        self._queue = SampleQueue(channel, clock)
        self._roster = Roster()
        self._stale, self._listed, self._stranger = (asyncio.Event() for _ in range(3))
        self._asked: dict[Run, float] = {}
        self._left_out: set[Run] = set()
        self._is_held = False

    # The resource

    def acquire(self, scope: Scope) -> None:
        self._is_held = True
        self._listed.clear()
        self._stale.set()
        scope.spawn(self._keep_roster(), "roster")
        scope.spawn(self._meet(), "processes")
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
        self._stranger.set()

    def events_were_missed(self) -> None:
        """Asks who runs."""
        self._stale.set()

    # What we ask it

    async def _keep_roster(self) -> None:
        while True:
            self._stale.clear()
            is_known = await self._list()
            await _until(self._stale, RELIST_S if is_known else RETRY_S)

    async def _list(self) -> bool:
        """Whether the engine told who runs. Its list is large, and is not kept until the next."""
        try:
            with self._roster.listing():
                idle = self._roster.listed(await self._engine.containers(deadline_s=LIST_S))
        except EngineError as error:
            log.debug("who runs is not known: %s", error)
            return False
        # They may have stopped unseen, by us or by a process before us.
        self._queue.put(map(self._zero, idle))
        self._listed.set()
        self._stranger.set()
        return True

    async def _meet(self) -> None:
        """Finds the process of each run, once, where the source needs one."""
        while True:
            await _until(self._stranger, RETRY_S)
            self._stranger.clear()
            strangers = iter(self._strangers())

            async def work(strangers: Iterator[Run] = strangers) -> None:
                for run in strangers:
                    await self._ask_for_process(run)

            async with asyncio.TaskGroup() as workers:
                for _ in range(INSPECTS_AT_ONCE):
                    workers.create_task(work())

    def _strangers(self) -> list[Run]:
        runs = self._roster.runs()
        self._asked = {run: self._asked[run] for run in runs if run in self._asked}
        self._left_out.intersection_update(runs)
        if not self._source.needs_processes:
            return []
        asked_before_s = asyncio.get_running_loop().time() - REST_S
        return [
            run
            for run in runs
            if (run.process is None or run in self._left_out)
            and self._asked.get(run, asked_before_s) <= asked_before_s
        ]

    async def _ask_for_process(self, run: Run) -> None:
        self._asked[run] = asyncio.get_running_loop().time()
        try:
            inspected = await self._inspections.of_running(
                run.container_id, deadline_s=INSPECT_S, anew=run in self._left_out
            )
            found = inspected.process
            if found is not None and (owner := inspected.network_owner) is not None:
                found = replace(found, has_network=await self._has_network(owner))
        except EngineError as error:
            log.debug("the process of %s is not known: %s", run.name, error)
            return
        if found is not None:
            run.process = found
            self._left_out.discard(run)

    async def _has_network(self, container: str) -> bool:
        """Whether the engine counts a network for it; one that it shares is counted for each who does."""
        for _ in range(SHARED_DEPTH):
            inspected = await self._inspections.of(container, deadline_s=INSPECT_S)
            if inspected.network_owner is None:
                return inspected.has_network
            container = inspected.network_owner
        return False

    async def _look(self) -> None:
        await self._listed.wait()
        tick_s = asyncio.get_running_loop().time()
        while True:
            await self._look_once()
            tick_s = await self._next_tick(tick_s)

    async def _look_once(self) -> None:
        runs = self._roster.runs()
        met = [run for run in runs if run.process is not None]
        found = await self._source.read(runs)
        # Those may have been restarted unseen, so that their process is another one.
        self._left_out.update(run for run in met if run.container_id not in found)
        self._offer(self._samples(runs, found))

    async def _next_tick(self, last_s: float) -> float:
        """Ticks that a look took longer than are skipped, and so are those at which the link is not ready for more."""
        loop, tick_s = asyncio.get_running_loop(), last_s
        while True:
            tick_s += max(self._interval_s, self._source.period_s)
            # They never pile up, and the rhythm stays.
            if tick_s > loop.time():
                await asyncio.sleep(tick_s - loop.time())
                if not self._queue.is_behind or tick_s >= last_s + BEHIND_S:
                    return tick_s

    # Samples

    def _samples(self, runs: Sequence[Run], found: Mapping[str, Counters]) -> list[EncodedSample]:
        at = self._clock()
        samples = []
        for run in runs:
            now = found.get(run.container_id)
            if now is None or not self._roster.has(run):
                continue  # it ended meanwhile: its last sample is zero
            told = sample(run.before, now, container_id=run.container_id, name=run.name, at=at)
            samples.append(encode_sample(told))
            run.before = now
        return samples

    def _zero(self, run: Run) -> EncodedSample:
        told = zero_sample(container_id=run.container_id, name=run.name, at=self._clock())
        return encode_sample(told)

    def _offer(self, samples: Sequence[EncodedSample]) -> None:
        self._queue.put(samples)
        if self._stats_link is not None:
            self._stats_link.offer(samples)


async def _until(event: asyncio.Event, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        pass
