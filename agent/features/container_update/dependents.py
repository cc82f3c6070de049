"""The containers that depend on the one that is updated follow it, each in the state it was in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace

from agent.core.container_update import Dependent, DependentsMoved, Update
from agent.core.dependents import Moved, redirected
from agent.core.machine import Event
from agent.core.recreate import is_auto_remove
from agent.features.container_update.health import why_not_well
from agent.features.container_update.looking import LOOK_S, find, made_by, name_of
from agent.features.container_update.making import Maker
from agent.features.container_update.patience import patiently
from agent.features.container_update.renaming import STOP_MARGIN_S, STOP_S, rename
from agent.ports import Clock, Engine, EngineError, EngineRefused, Json

START_S = 30.0
REMOVE_S = 20.0

HEALTH_S = 30.0
"""Its image and configuration are what they were, so this is only to see that it joined and stays up."""

log = logging.getLogger("agent.container_update")


class Dependents:
    """Moves them one by one. One that fails holds up neither the others nor the update; the server is told of it."""

    def __init__(self, engine: Engine, maker: Maker, clock: Clock) -> None:
        self._engine, self._maker, self._clock = engine, maker, clock

    async def move(self, update: Update) -> Event:
        failed = []
        target = Moved(update.container_id, update.name, update.backup_name, update.new_id)
        moved = {update.container_id: target}
        for dependent in update.dependents:
            if why := await self._move(update, dependent, moved):
                log.warning("%s did not follow %s: %s", dependent.name, update.name, why)
                failed.append(dependent.name)
        return DependentsMoved(tuple(failed))

    async def _move(self, update: Update, dependent: Dependent, moved: dict[str, Moved]) -> str:
        """Returns why it failed, "" if it did not. `moved`: by their ID, those that have a successor."""
        try:
            async with asyncio.timeout(max(1.0, update.remaining_s(self._clock()))):
                return await patiently(
                    lambda: self._try(update, dependent, moved), f"moving {dependent.name}"
                )
        except EngineError as error:
            why = str(error)
        except TimeoutError:
            why = "there was no time left"
        if dependent.id not in moved:
            await self._unmake(update, dependent)
        return why

    async def _try(self, update: Update, dependent: Dependent, moved: dict[str, Moved]) -> str:
        if dependent.id not in moved:
            old = await self._engine.inspect_container(dependent.id, deadline_s=LOOK_S)
            if is_auto_remove(old):
                return "it was started with --rm: to stop it would be to remove it"
            made = await self._successor(update, dependent, old, moved.values())
            aside = update.aside_name(dependent)
            moved[dependent.id] = Moved(dependent.id, dependent.name, aside, made)
        return await self._take_over(dependent, moved[dependent.id].new_id)

    async def _successor(
        self, update: Update, dependent: Dependent, old: Json, moved: Iterable[Moved]
    ) -> str:
        """Makes what takes its name; returns its ID. It stands beside the old one, which may still run."""
        await self._remove_made(update, dependent)  # by a process before us, and maybe half of it
        aside = update.aside_name(dependent)
        if name_of(old) != aside:
            await rename(self._engine, dependent.id, aside)
        recreation = await self._maker.recreation(old, await self._image(old))
        config = recreation.config
        for each in moved:
            config = redirected(config, each)
        return await self._maker.make(replace(recreation, config=config), dependent.name)

    async def _take_over(self, dependent: Dependent, made: str) -> str:
        """From here on the new one stays, well or not: the old one could not start, for what it shared is gone."""
        stop_by_s = STOP_S + STOP_MARGIN_S
        await self._engine.stop(dependent.id, timeout_s=STOP_S, deadline_s=stop_by_s)
        if not dependent.was_running:
            return ""
        await self._engine.start(made, deadline_s=START_S)
        return await why_not_well(self._engine, made, within_s=HEALTH_S)

    async def _unmake(self, update: Update, dependent: Dependent) -> None:
        """The old one keeps its name, for whoever repairs it."""
        try:
            await self._remove_made(update, dependent)
            old = await find(self._engine, dependent.id)
            if old is not None and name_of(old) == update.aside_name(dependent):
                await rename(self._engine, dependent.id, dependent.name)
        except EngineError as error:
            log.error("%s has not got its name back: %s", dependent.name, error)

    async def _remove_made(self, update: Update, dependent: Dependent) -> None:
        made = await made_by(self._engine, update.command_id)
        if dependent.name in made:
            await self._engine.remove(made[dependent.name], force=True, deadline_s=REMOVE_S)

    async def _image(self, old: Json) -> str:
        """Its reference, if that still means the same image: nobody asked for another one. Else the image's ID."""
        reference = str((old.get("Config") or {}).get("Image"))
        try:
            image = await self._engine.inspect_image(reference, deadline_s=LOOK_S)
        except EngineRefused:
            return str(old.get("Image"))
        return reference if image.get("Id") == old.get("Image") else str(old.get("Image"))
