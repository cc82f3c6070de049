"""Makes everything what it was. It may begin anywhere and be repeated: the engine tells what there is to do."""

from __future__ import annotations

import logging

from agent.core.container_update import Dependent, OldRestored, RestoreFailed, Update
from agent.core.journal import parse_instant
from agent.core.machine import Event
from agent.features.container_update.looking import (
    LOOK_S,
    find,
    is_running,
    made_by,
    name_of,
    state_of,
)
from agent.features.container_update.patience import patiently
from agent.features.container_update.renaming import rename
from agent.ports import Conflict, Engine, EngineError, Json

REMOVE_S = 30.0
START_S = 45.0
RESTART_S = 10

log = logging.getLogger("agent.container_update")


class Rollback:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self, update: Update) -> Event:
        try:
            trouble = await patiently(lambda: self._restore(update), f"putting {update.name} back")
        except EngineError as error:
            return RestoreFailed(str(error))
        return RestoreFailed(trouble) if trouble else OldRestored()

    async def _restore(self, update: Update) -> str:
        """Returns what could not be put back, "" for nothing."""
        if await find(self._engine, update.container_id) is None:
            return f"{update.backup_name} has been removed by somebody else; the new one is kept"
        for made in (await made_by(self._engine, update.command_id)).values():
            await self._engine.remove(made, force=True, deadline_s=REMOVE_S)
        nameless = [
            why for each in update.originals() if (why := await self._give_name_back(*each))
        ]
        old = await self._engine.inspect_container(update.container_id, deadline_s=LOOK_S)
        lifeless = [] if name_of(old) == update.backup_name else await self._run_again(update, old)
        return "; ".join(nameless + [f"{name} could not be started" for name in lifeless])

    async def _run_again(self, update: Update, old: Json) -> list[str]:
        """Starts what ran; returns the names of those that could not join the old container."""
        if update.was_running and not is_running(old):
            await self._engine.start(update.container_id, deadline_s=START_S)
            old = await self._engine.inspect_container(update.container_id, deadline_s=LOOK_S)
        return [
            each.name
            for each in update.dependents
            if not await self._join(each, update.aside_name(each), old)
        ]

    async def _give_name_back(self, container_id: str, name: str, aside: str) -> str:
        found = await find(self._engine, container_id)
        if found is None or name_of(found) != aside:
            return ""
        try:
            await rename(self._engine, container_id, name)
        except Conflict:
            return (
                f"the name {name} belongs to another container now; the old one is kept as {aside}"
            )
        return ""

    async def _join(self, dependent: Dependent, aside: str, old: Json) -> bool:
        """Has a dependent that ran share the namespaces of `old` as it is now: those of its former run are gone."""
        found = await find(self._engine, dependent.id)
        if found is None or name_of(found) == aside or not dependent.was_running:
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
