"""Goes on with the updates that are written down and not under way: a process before us left them, or an engine did."""

from __future__ import annotations

import asyncio
import logging

from pydantic import ValidationError

from agent.core.container_update import resumed
from agent.core.jobs import Job
from agent.features.container_update.attempt import Attempt
from agent.features.container_update.endings import Endings
from agent.features.container_update.looking import find
from agent.features.container_update.record import KIND, Record, from_job
from agent.features.container_update.under_way import UnderWay
from agent.ports import CommandFailed, EngineError, Services, StoreError

log = logging.getLogger("agent.container_update")


class Recovery:
    def __init__(self, services: Services, under_way: UnderWay, endings: Endings) -> None:
        self._engine, self._store, self._clock = services.engine, services.store, services.clock
        self._under_way, self._endings = under_way, endings
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Begins them all. What cannot be begun now is tried at the next call."""
        async with self._one_at_a_time:
            try:
                for job in await self._store.jobs():
                    if job.kind == KIND and job.id not in self._under_way:
                        await self._look_into(job)
            except (StoreError, EngineError) as error:
                log.error("unfinished container updates have to wait: %s", error)

    async def _look_into(self, job: Job) -> None:
        try:
            await self._resume(from_job(job))
        except ValidationError:
            log.error("the record of the update of %s cannot be read", job.subject)
        except CommandFailed as held:
            log.warning("an update of %s cannot go on yet: %s", job.subject, held)

    async def _resume(self, record: Record) -> None:
        attempt = Attempt(self._clock, is_resumed=True)
        state, update = resumed(record.state, record.update, attempt.now())
        attempt.acknowledged_at = update.began_at
        attempt.is_reported = record.update.has_leftovers
        log.warning("the update of %s was interrupted: %s", update.name, state)
        if state == "failed":
            await self._endings.conclude(state, update, attempt)
        elif state == "rollback" and await find(self._engine, update.container_id) is None:
            log.error("%s has been removed; it cannot be put back", update.backup_name)
            await self._endings.forget(update)
        else:
            self._under_way.begin(update, attempt, at=state)
