"""Makes everything what it was. It may begin anywhere and be repeated: the engine tells what there is to do."""

from __future__ import annotations

import asyncio
import logging

from agent.core.container_update import Dependent, OldRestored, RestoreFailed, Update
from agent.core.journal import parse_instant
from agent.core.machine import Event
from agent.features.container_update.looking import find, is_running, made_by, name_of, state_of
from agent.ports import (
    Conflict,
    Engine,
    EngineBusy,
    EngineError,
    EngineTimeout,
    EngineUnreachable,
    Json,
)

REMOVE_S = 30.0
RENAME_S = 15.0
START_S = 45.0
RESTART_S = 10

AGAIN_S = 3.0
PATIENCE_S = 150.0
"""An engine that does not answer is tried again for this long; dockerd restarts within seconds."""

log = logging.getLogger("agent.container_update")


class Rollback:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self, update: Update) -> Event:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + PATIENCE_S
        while True:
            try:
                trouble = await self._restore(update)
                return RestoreFailed(trouble) if trouble else OldRestored()
            except (EngineUnreachable, EngineTimeout, EngineBusy) as error:
                if loop.time() >= until_s:
                    return RestoreFailed(str(error))
                log.info("putting %s back is tried again: %s", update.name, error)
            except EngineError as error:
                return RestoreFailed(str(error))
            await asyncio.sleep(AGAIN_S)

    async def _restore(self, update: Update) -> str:
        """Returns what could not be put back, "" for nothing."""
        for made in (await made_by(self._engine, update.command_id)).values():
            await self._engine.remove(made, force=True, deadline_s=REMOVE_S)
        for container_id, name, aside in update.originals():
            if why := await self._give_name_back(container_id, name, aside):
                return why
        old = await find(self._engine, update.container_id)
        if old is None:
            return f"{update.backup_name} has been removed by somebody else"
        if update.was_running and not is_running(old):
            await self._engine.start(update.container_id, deadline_s=START_S)
            old = await find(self._engine, update.container_id) or old
        failed = [each.name for each in update.dependents if not await self._join(each, old)]
        return f"{', '.join(failed)} could not be started" if failed else ""

    async def _give_name_back(self, container_id: str, name: str, aside: str) -> str:
        found = await find(self._engine, container_id)
        if found is None or name_of(found) != aside:
            return ""
        try:
            await self._engine.rename(container_id, name, deadline_s=RENAME_S)
        except Conflict:
            return (
                f"the name {name} belongs to another container now; the old one is kept as {aside}"
            )
        return ""

    async def _join(self, dependent: Dependent, old: Json) -> bool:
        """Has a dependent that ran share the namespaces of `old` as it is now: those of its former run are gone."""
        found = await find(self._engine, dependent.id)
        if found is None or not dependent.was_running:
            return True
        try:
            if not is_running(found):
                await self._engine.start(dependent.id, deadline_s=START_S)
            elif _started_before(found, old):
                await self._engine.restart(
                    dependent.id, timeout_s=RESTART_S, deadline_s=RESTART_S + START_S
                )
        except EngineError as error:
            log.warning("%s could not be started: %s", dependent.name, error)
            return False
        return True


def _started_before(first: Json, second: Json) -> bool:
    one = parse_instant(str(state_of(first).get("StartedAt")))
    other = parse_instant(str(state_of(second).get("StartedAt")))
    return one is not None and other is not None and one < other
