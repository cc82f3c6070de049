"""Finds out whether an update can be done and undone, before anything is touched."""

from __future__ import annotations

from dataclasses import replace

from agent.core.container_update import (
    Dependent,
    StepFailed,
    Update,
    UpdatePlanned,
    finish_by,
    lack_of_time,
)
from agent.core.dependents import depends
from agent.core.machine import Event
from agent.core.own_container import OwnContainer
from agent.features.container_update.attempt import Attempt
from agent.features.container_update.looking import LOOK_S, find, is_running, name_of
from agent.features.container_update.making import Maker
from agent.ports import Engine


class Planner:
    """For one update.

    Args:
        own: The container we run in: it must not lose a namespace to an update.
    """

    def __init__(
        self, engine: Engine, maker: Maker, attempt: Attempt, own: OwnContainer | None
    ) -> None:
        self._engine = engine
        self._maker, self._attempt, self._own = maker, attempt, own

    async def plan(self, update: Update) -> Event:
        old = await self._engine.inspect_container(update.container_id, deadline_s=LOOK_S)
        if old.get("Image") == update.new_image_id:
            return StepFailed(f"{update.name} already runs {update.new_image}: nothing to do")
        if name_of(old) != update.name:
            return StepFailed(f"{update.name} has been renamed to {name_of(old)} meanwhile")
        await self._maker.recreation(old, update.new_image)  # better to fail now than half-way
        dependents = await self._dependents(update)
        if self._own is not None and any(self._own.is_meant_by(each.id) for each in dependents):
            return StepFailed(
                f"the agent's own container shares a namespace of {update.name} or links to it, "
                "and would be cut off; update it by hand"
            )
        if self._attempt.is_given_up:
            return StepFailed("the server no longer waits for it")
        now = self._attempt.now()
        until = finish_by(self._attempt.acknowledged_at or now)  # this is when it is acknowledged
        planned = replace(update, was_running=is_running(old), finish_by=until)
        if why := lack_of_time(planned, now):
            return StepFailed(why)
        return UpdatePlanned(planned.was_running, dependents, until)

    async def _dependents(self, update: Update) -> tuple[Dependent, ...]:
        """Those that depend on it or on one another, each after what it depends on."""
        found: list[Dependent] = []
        gone = [(update.container_id, update.name)]
        newest_first = await self._engine.containers(deadline_s=LOOK_S)
        for listed in reversed(newest_first):  # what a container depends on was there before it
            inspected = await find(self._engine, str(listed["Id"]))
            if inspected is not None and any(
                depends(inspected, on_id=gone_id, on_name=name) for gone_id, name in gone
            ):
                each = Dependent(str(listed["Id"]), name_of(inspected), is_running(inspected))
                found.append(each)
                gone.append((each.id, each.name))
        return tuple(found)
