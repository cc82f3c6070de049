"""Removes what updates of the agent leave on the engine, whichever process left it."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from agent.core.jobs import Job
from agent.core.own_container import OwnContainer
from agent.core.self_update import Update
from agent.core.self_update_rules import EXTRACT_LABEL
from agent.ports import Clock, Engine, EngineError, EngineRefused, NotFound, Store, StoreError

KIND = "self_update"
LOOK_S, REMOVE_S = 15.0, 30.0

ABANDONED_AFTER = timedelta(hours=1)
"""An extraction takes seconds: what is older belongs to an agent that is gone, be it another one."""

log = logging.getLogger("agent.self_update")


class Clearing:
    def __init__(
        self, engine: Engine, store: Store, clock: Clock, own: OwnContainer | None
    ) -> None:
        self._engine, self._store, self._clock, self._own = engine, store, clock, own
        self._one_at_a_time = (
            asyncio.Lock()
        )  # the one after a registration may meet that of an update

    async def note(self, update: Update) -> None:
        """Writes down which image is about to come, so that a later process can remove it. Raises `StoreError`."""
        if update.image and not update.image_was_there:
            record = {"image": update.image}
            await self._store.save_job(Job(_job_id(update), KIND, "the agent", record))

    async def image(self, update: Update) -> None:
        """Removes the image if it was not there before. Raises an `EngineError`, `StoreError`."""
        if update.image and not update.image_was_there:
            await self._remove_image(update.image)
            await self._store.end_job(_job_id(update), [])

    async def sweep(self) -> None:
        """Removes the containers and images of updates that are over. What cannot be removed now is later."""
        async with self._one_at_a_time:
            try:
                await self._containers()
                for job in await self._store.jobs():
                    if job.kind == KIND:
                        await self._remove_image(str(job.record.get("image")))
                        await self._store.end_job(job.id, [])
            except (EngineError, StoreError) as error:
                log.warning("what an earlier update left is not removed yet: %s", error)

    async def _containers(self) -> None:
        if self._own is None:
            return
        for listed in await self._engine.containers(deadline_s=LOOK_S):
            owner = (listed.get("Labels") or {}).get(EXTRACT_LABEL)
            if owner is None or listed.get("State") != "created":
                continue
            age_s = self._clock().timestamp() - float(listed.get("Created") or 0)
            if self._own.is_meant_by(str(owner)) or age_s > ABANDONED_AFTER.total_seconds():
                try:
                    await self._engine.remove(str(listed["Id"]), force=True, deadline_s=REMOVE_S)
                except NotFound:
                    continue  # another agent was quicker

    async def _remove_image(self, image: str) -> None:
        try:
            await self._engine.remove_image(image, force=False, deadline_s=REMOVE_S)
        except (
            EngineRefused
        ) as refused:  # gone already, or used by somebody by now: then it is theirs
            log.debug("the image %s stays: %s", image, refused)


def _job_id(update: Update) -> str:
    return f"{KIND} {update.request.command_id}"
