"""From the old container to the new one, step by step. Each makes sure of its result, whoever did half of it before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from agent.core.container_update import (
    ImagePulled,
    LeftoversRemoved,
    NewCreated,
    NewIsWell,
    NewStarted,
    OldSetAside,
    StepFailed,
    Update,
    UpdatePlanned,
)
from agent.core.machine import Event
from agent.core.own_container import OwnContainer
from agent.features.claims import Claims
from agent.features.container_update.attempt import Attempt
from agent.features.container_update.dependents import Dependents
from agent.features.container_update.health import why_not_well
from agent.features.container_update.looking import (
    LOOK_S,
    find,
    is_running,
    made_by,
    name_of,
    state_of,
)
from agent.features.container_update.making import Maker
from agent.features.container_update.patience import AGAIN_S
from agent.features.container_update.planning import Planner
from agent.features.container_update.record import to_job
from agent.features.container_update.renaming import STOP_MARGIN_S, rename
from agent.features.container_update.reporting import Reporter
from agent.features.container_update.rollback import Rollback
from agent.ports import (
    Activity,
    CommandFailed,
    Conflict,
    EngineBusy,
    EngineError,
    Json,
    Services,
    StoreError,
)

PULL_S = 360.0
START_S = 45.0
REMOVE_S = 20.0

Step = Callable[[Update], Awaitable[Event]]

log = logging.getLogger("agent.container_update")


class Steps:
    """The activities of `statecharts/container_update.toml`, for one update.

    Args:
        claims: Holds what is worked on, until the update has ended.
    """

    def __init__(
        self,
        services: Services,
        attempt: Attempt,
        reporter: Reporter,
        *,
        command_id: str,
        own: OwnContainer | None,
        claims: Claims,
    ) -> None:
        self._engine, self._store = services.engine, services.store
        self._attempt, self._reporter, self._claims = attempt, reporter, claims
        self._maker = Maker(services.engine, command_id)
        self._planner = Planner(services.engine, self._maker, attempt, own)
        self._dependents = Dependents(services.engine, self._maker, attempt.now)
        self._rollback = Rollback(services.engine)

    def by_name(self) -> Mapping[str, Activity]:
        return {
            "pull": self._step("pulling", self.pull),
            "plan": self._step("configuring", self.plan),
            "set_aside": self._step("backup", self.set_aside),
            "create": self._step("creating", self.create),
            "start": self._step("starting", self.start),
            "watch_health": self._step("health_check", self.watch_health),
            "move_dependents": self._step("dependents", self._dependents.move),
            "clean_up": self._step("cleanup", self.clean_up),
            "roll_back": self.roll_back,
        }

    def _step(self, state: str, step: Step) -> Activity:
        """Writes down that `state` has been entered before anything is done in it."""

        async def do(update: Update) -> Event:
            try:
                self.claim(update)
                await self._store.save_job(to_job(state, update))
                self._reporter.stage(state, update)
                return await step(update)
            except (CommandFailed, EngineError, StoreError) as error:
                return StepFailed(str(error))

        return do

    def claim(self, update: Update) -> None:
        """Raises `CommandFailed` if something of it is being updated by itself."""
        reason = f"{update.name} is being updated; try again when that is done"
        self._claims.hold(update.command_id, update.references(), reason)

    # Before anything is touched

    async def pull(self, update: Update) -> Event:
        while True:
            try:
                await self._engine.pull(
                    update.new_image,
                    deadline_s=PULL_S,
                    auth=self._attempt.auth,
                    progress=self._reporter.pull(update),
                )
                break
            except (
                EngineBusy
            ):  # with the pulls of other updates: it is this one's turn when one of them is done
                await asyncio.sleep(AGAIN_S)
        image = await self._engine.inspect_image(update.new_image, deadline_s=LOOK_S)
        return ImagePulled(str(image["Id"]))

    async def plan(self, update: Update) -> Event:
        event = await self._planner.plan(update)
        if isinstance(event, UpdatePlanned):
            self.claim(replace(update, dependents=event.dependents))
        return event

    # From here on it can be undone

    async def set_aside(self, update: Update) -> Event:
        self._attempt.decide()
        old = await self._engine.inspect_container(update.container_id, deadline_s=LOOK_S)
        if name_of(old) == update.name:
            # Before it is stopped: the server starts a stopped container again, but not one of this name.
            await rename(
                self._engine,
                update.container_id,
                update.backup_name,
                stop_timeout_s=update.stop_timeout_s,
            )
        elif name_of(old) != update.backup_name:
            return StepFailed(f"{update.name} has been renamed to {name_of(old)} meanwhile")
        await self._have_old_stopped(update)
        return OldSetAside()

    async def create(self, update: Update) -> Event:
        await self._have_old_stopped(update)
        old = await self._engine.inspect_container(update.container_id, deadline_s=LOOK_S)
        try:
            return NewCreated(await self._make(update, old))
        except Conflict:
            # What a process before us asked for may have come only now; if it is not ours, this fails again.
            return NewCreated(await self._make(update, old))

    async def _make(self, update: Update, old: Json) -> str:
        for half_made in (await made_by(self._engine, update.command_id)).values():
            await self._engine.remove(half_made, force=True, deadline_s=REMOVE_S)
        recreation = await self._maker.recreation(old, update.new_image)
        return await self._maker.make(recreation, update.name)

    async def _have_old_stopped(self, update: Update) -> None:
        """In each state anew: a restarted engine starts what its policy says, and the new one has the same data."""
        old = await find(self._engine, update.container_id)
        if old is not None and is_running(old):
            await self._engine.stop(
                update.container_id,
                timeout_s=update.stop_timeout_s,
                deadline_s=update.stop_timeout_s + STOP_MARGIN_S,
            )

    async def start(self, update: Update) -> Event:
        await self._have_old_stopped(update)
        new = await self._engine.inspect_container(update.new_id, deadline_s=LOOK_S)
        if state_of(new).get("Status") == "created":
            await self._engine.start(update.new_id, deadline_s=START_S)
        return NewStarted()

    async def watch_health(self, update: Update) -> Event:
        await self._have_old_stopped(update)
        within_s = update.health_s(self._attempt.now())
        if not within_s:
            return StepFailed(
                "the time was over before the new container could show that it is well"
            )
        why = await why_not_well(self._engine, update.new_id, within_s=within_s)
        return StepFailed(f"the new container is not well: {why}") if why else NewIsWell()

    # From here on it cannot

    async def clean_up(self, update: Update) -> Event:
        for container_id, name, aside in update.originals():
            old = await find(self._engine, container_id)
            if old is None or name_of(old) != aside:
                continue
            successor = await find(self._engine, name)
            if successor is not None and name_of(successor) == name:
                await self._engine.remove(container_id, force=True, deadline_s=REMOVE_S)
            else:
                await rename(self._engine, container_id, name)
        return LeftoversRemoved()

    # Back

    async def roll_back(self, update: Update) -> Event:
        self.claim(update)
        try:
            await self._store.save_job(to_job("rollback", update))
        except StoreError as error:
            # It goes on without: the record of the state before leads here again, if it comes to that.
            log.warning("the rollback of %s is not written down: %s", update.name, error)
        self._reporter.stage("rollback", update, error=update.reason)
        return await self._rollback.run(update)
