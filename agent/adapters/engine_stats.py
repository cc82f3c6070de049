"""Container figures from the Engine API: the way that works everywhere, and costs the engine a few ms each time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from agent.core.roster import Run
from agent.core.stats import Counters, counters
from agent.ports import Engine, EngineError, EngineTimeout

PERIOD_S = 5.0
"""From one look to the next: each container costs the engine about 4 ms of CPU time."""

LONGEST_S = 20.0
"""The server keeps no sample in its history that is older than half a minute."""

REST_S = 1.0
"""What is left of a period at least, in which the engine is asked for nothing."""

CALL_S = 2.5
"""For one of them. Engines before 23.0 take a second or two for each, however many there are."""

AT_ONCE = 4

SPREAD_S = 2.0
"""The questions are asked over this time: the engine has other things to do than to answer them all at once."""

log = logging.getLogger("agent.telemetry")


class EngineStats:
    """`agent.ports.StatsSource` on the Engine API. Who was left out for want of time comes first the next time.

    When not all could be looked at, the next look has twice the time, and so has the one after; when there was time to
    spare for that, half of it again.
    """

    needs_processes = False

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.period_s = PERIOD_S
        self._left_out: list[str] = []
        self._hung: list[str] = []

    async def read(self, runs: Sequence[Run]) -> Mapping[str, Counters]:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        read_s = self.period_s - REST_S
        found: dict[str, Counters] = {}
        order = self._in_turn([run.container_id for run in runs])
        turns = iter(enumerate(order))

        async def work() -> None:
            for turn, container in turns:
                await asyncio.sleep(began_s + turn * SPREAD_S / len(order) - loop.time())
                left_s = began_s + read_s - loop.time()
                if left_s <= 0:
                    self._left_out.append(container)
                elif (figures := await self._look(container, left_s)) is not None:
                    found[container] = figures

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(AT_ONCE, len(order))):
                workers.create_task(work())
        self._adapt(loop.time() - began_s)
        return found

    def _adapt(self, took_s: float) -> None:
        if self._left_out:
            self.period_s = min(2 * self.period_s, LONGEST_S)
        elif took_s < self.period_s / 2 - REST_S:
            self.period_s = max(self.period_s / 2, PERIOD_S)

    async def _look(self, container: str, left_s: float) -> Counters | None:
        try:
            stats = await self._engine.stats(container, deadline_s=min(left_s, CALL_S))
        except EngineTimeout:
            # One that had its time has to wait, or a few that hang would keep all others from ever being looked at.
            (self._hung if left_s >= CALL_S else self._left_out).append(container)
        except EngineError as error:
            log.debug("no figures of %s: %s", container[:12], error)
        else:
            return counters(stats)
        return None

    def _in_turn(self, container_ids: Sequence[str]) -> list[str]:
        wanted = set(container_ids)
        first = [each for each in self._left_out if each in wanted]
        last = [each for each in self._hung if each in wanted]
        self._left_out, self._hung = [], []
        between = wanted.difference(first, last)
        return [*first, *(each for each in container_ids if each in between), *last]
