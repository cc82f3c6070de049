"""Container figures from the Engine API: the way that works everywhere, and costs the engine a few ms each time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping

from agent.core.stats import Counters, counters
from agent.ports import Engine, EngineError, EngineTimeout

READ_S = 4.0
"""For one look at all containers."""

CALL_S = 2.5
"""For one of them. Engines before 23.0 take a second or two for each, however many there are."""

AT_ONCE = 4

SPREAD_S = 2.0
"""The questions are asked over this time: the engine has other things to do than to answer them all at once."""

log = logging.getLogger("agent.telemetry")


class EngineStats:
    """`agent.ports.StatsSource` on the Engine API. Who was left out for want of time comes first the next time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._left_out: list[str] = []
        self._hung: list[str] = []

    async def read(self, container_ids: Collection[str]) -> Mapping[str, Counters]:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        found: dict[str, Counters] = {}
        order = self._in_turn(container_ids)
        turns = iter(enumerate(order))

        async def work() -> None:
            for turn, container in turns:
                await asyncio.sleep(began_s + turn * SPREAD_S / len(order) - loop.time())
                left_s = began_s + READ_S - loop.time()
                if left_s <= 0:
                    self._left_out.append(container)
                elif (figures := await self._look(container, left_s)) is not None:
                    found[container] = figures

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(AT_ONCE, len(order))):
                workers.create_task(work())
        return found

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

    def _in_turn(self, container_ids: Collection[str]) -> list[str]:
        wanted = set(container_ids)
        first = [each for each in self._left_out if each in wanted]
        last = [each for each in self._hung if each in wanted]
        self._left_out, self._hung = [], []
        between = wanted.difference(first, last)
        return [*first, *(each for each in container_ids if each in between), *last]
