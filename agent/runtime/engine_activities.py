"""What the engine chart does: probe, catch up, follow. Everything the engine did ends up in the journal."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping

from agent.core import journal
from agent.core.engine_watch import CaughtUp, EngineAnswered, EngineLost, EngineSilent
from agent.core.journal import Known, Row, Seen
from agent.core.machine import Event
from agent.ports import (
    Activity,
    Batch,
    Clock,
    Engine,
    EngineError,
    EngineUnreachable,
    Json,
    NotFound,
    Store,
    StoreError,
)
from agent.runtime.engine_status import EngineStatus
from agent.runtime.event_buffer import EventBuffer

FACTS_S = 15.0
LIST_S = 20.0
INSPECT_S = 10.0
INSPECTS_AT_ONCE = 4

SETTLE_S = 1.0
"""A difference counts if it is there in two looks this far apart, with no event of that container between them."""

RING_S = 5.0
"""The ring comes at once. On a busy host new events follow it without a pause, so something has to end it."""

COMPARE_EVERY_S = 60.0
"""What the engine drops from a stream leaves no trace in it, so the containers are compared as well."""

FAILED_LOOKS = 3
"""This many comparisons in a row may fail (a busy engine) before the engine counts as lost."""

SEEN_KEYS = 2048

log = logging.getLogger("agent.engine")


class EngineActivities:
    """The activities of `statecharts/engine.toml`.

    Args:
        journalled: Called when there is something new to deliver.
        came_back: Called when the engine answers, before anything else is asked of it.
        missed: Called when the containers are not as its events have told.
        went_away: Called when it is no longer followed.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        buffer: EventBuffer,
        status: EngineStatus,
        *,
        journalled: Callable[[], None],
        came_back: Callable[[], None],
        missed: Callable[[], None],
        went_away: Callable[[], None] = lambda: None,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._engine, self._store, self._buffer, self._status = engine, store, buffer, status
        self._journalled, self._missed = journalled, missed
        self._came_back, self._went_away = came_back, went_away
        self._clock, self._rng = clock, rng
        self._known: dict[str, Known] = {}
        self._seen: dict[str, None] = {}  # an ordered set
        self._touched: set[str] = set()

    def by_name(self) -> Mapping[str, Activity]:
        return {"probe": self.probe, "catch_up": self.catch_up, "follow": self.follow}

    async def probe(self, delay_s: float) -> Event:
        self._status.went_away()
        self._went_away()
        await asyncio.sleep(delay_s)
        try:
            facts = await self._engine.facts(deadline_s=FACTS_S)
        except EngineError as error:
            return EngineSilent(str(error))
        self._came_back()
        self._status.answered(facts)
        return EngineAnswered(facts.engine_id, facts.version)

    async def catch_up(self, _: object) -> Event:
        try:
            known = await self._store.known()
            if known is None:
                return await self._adopt()
            self._known = known
            self._seen = dict.fromkeys(await self._store.seen())
            had_rows = bool(self._seen)
            replayed, met = 0, 0
            until_s = asyncio.get_running_loop().time() + RING_S
            while events := await self._ring(until_s):
                appended, again = await self._journal(events)
                replayed, met = replayed + appended, met + again
            confirmed, further = await self._compare(inspect_all=True)
            if had_rows and not met:
                log.warning(
                    "the engine no longer has every event since the last one seen; "
                    "what is missing was concluded from the containers' states"
                )
            self._journalled()  # what a move cut short may have been written all the same
            return CaughtUp(replayed + further, confirmed)
        except (EngineError, StoreError) as error:
            return EngineLost(str(error))

    async def follow(self, _: object) -> Event:
        loop = asyncio.get_running_loop()
        failed_looks = 0
        look_at_s = loop.time() + self._jittered()
        while True:
            try:
                events = await self._buffer.some(within_s=max(0.0, look_at_s - loop.time()))
                await self._journal(events)
                if loop.time() < look_at_s:
                    continue
                look_at_s = loop.time() + self._jittered()
                inferred, _further = await self._compare(inspect_all=False)
                failed_looks = 0
                if inferred:
                    log.warning("%d events were missed in the stream and inferred", inferred)
                    self._missed()
            except (EngineUnreachable, StoreError) as error:
                return EngineLost(str(error))
            except EngineError as error:
                failed_looks += 1
                if failed_looks >= FAILED_LOOKS:
                    return EngineLost(str(error))
                log.info("comparing the containers failed: %s", error)

    async def _adopt(self) -> Event:
        """There is no cursor: what the ring holds happened before our time, and what is there is how it starts."""
        until_s = asyncio.get_running_loop().time() + RING_S
        while await self._ring(until_s):
            pass
        seen = journal.snapshot(await self._engine.containers(deadline_s=LIST_S))
        adopted = journal.adopted(seen, self._clock())
        await self._store.journal(Batch(known=adopted))
        self._known = {key: known for key, known in adopted.items() if known is not None}
        self._seen = {}
        return CaughtUp(0, 0)

    async def _ring(self, until_s: float) -> list[Json]:
        """More of what a new reader delivers at once, which is the engine's ring; nothing once it pauses."""
        if asyncio.get_running_loop().time() >= until_s:
            return []
        return await self._buffer.some(within_s=SETTLE_S)

    async def _journal(self, events: Iterable[Json]) -> tuple[int, int]:
        """Appends what is new. Returns (rows appended, events met again)."""
        rows: list[Row] = []
        changed: dict[str, Known | None] = {}
        now: Mapping[str, Known | None] = ChainMap(changed, self._known)  # type: ignore[arg-type]  # only read
        met = 0
        for event in events:
            row = journal.row(event)
            if row is None:
                changed |= journal.renamed(event, now)
            elif row.key in self._seen:
                met += 1
            else:
                changed |= journal.implied([row], now)
                rows.append(row)
                self._seen[row.key] = None
                self._touched.add(row.subject)
        await self._append(rows, changed)
        return len(rows), met

    async def _append(self, rows: list[Row], changed: Mapping[str, Known | None]) -> None:
        if not rows and not changed:
            return
        # If it fails, what is seen and known here counts no more: the next catching up asks the store for both.
        await self._store.journal(Batch(rows, changed))
        self._known |= {key: known for key, known in changed.items() if known is not None}
        for key in (key for key, known in changed.items() if known is None):
            self._known.pop(key, None)
        while len(self._seen) > SEEN_KEYS:
            del self._seen[next(iter(self._seen))]
        if rows:
            self._journalled()

    # Comparing

    async def _compare(self, *, inspect_all: bool) -> tuple[int, int]:
        """Two looks, events journalled in between. Returns (rows inferred, rows observed meanwhile)."""
        self._touched.clear()
        first = await self._look(inspect_all=inspect_all)
        suspects = journal.differing(self._known, first)
        observed, _ = await self._journal(await self._buffer.some(within_s=0.0))
        if not suspects:
            return 0, observed
        loop = asyncio.get_running_loop()
        until_s = loop.time() + SETTLE_S
        while (rest_s := until_s - loop.time()) > 0:
            observed += (await self._journal(await self._buffer.some(within_s=rest_s)))[0]
        second = await self._look(inspect_all=False, also=suspects)
        observed += (await self._journal(await self._buffer.some(within_s=0.0)))[0]
        confirmed = (journal.differing(self._known, second) & suspects) - self._touched
        rows = journal.inferred(self._known, second, confirmed, self._clock())
        rows = [row for row in rows if row.key not in self._seen]
        self._seen |= dict.fromkeys(row.key for row in rows)
        await self._append(rows, journal.implied(rows, self._known))
        return len(rows), observed

    async def _look(self, *, inspect_all: bool, also: Iterable[str] = ()) -> dict[str, Seen]:
        seen = journal.snapshot(await self._engine.containers(deadline_s=LIST_S))
        wanted = set(also) & seen.keys()
        if inspect_all:
            wanted |= {key for key, item in seen.items() if item.running and key in self._known}
        limit = asyncio.Semaphore(INSPECTS_AT_ONCE)
        failed: list[EngineError] = []

        async def inspect(container_id: str) -> None:
            async with limit:
                if failed:
                    return
                try:
                    details = await self._engine.inspect_container(
                        container_id, deadline_s=INSPECT_S
                    )
                except NotFound:
                    del seen[container_id]
                except EngineError as error:
                    failed.append(error)
                else:
                    seen[container_id] = journal.looked_at(seen[container_id], details)

        # `gather` would leave the others at work when one fails.
        async with asyncio.TaskGroup() as looking:
            for container_id in sorted(wanted):
                looking.create_task(inspect(container_id))
        if failed:
            raise failed[0]
        return seen

    def _jittered(self) -> float:
        return COMPARE_EVERY_S * self._rng.uniform(0.9, 1.1)
