"""Updates of containers: each begins with a command or with what a process before us left, and is seen to its end."""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from typing import Any

from pydantic import ValidationError

from agent.core.chart import Chart
from agent.core.container_update import ContainerUpdate, Update, completion, resumed
from agent.core.image_reference import ImageReference, InvalidReference
from agent.core.jobs import Job
from agent.core.ledger import Entry, Repeat
from agent.core.lifecycle import UpdateRequest
from agent.core.own_container import OwnContainer
from agent.core.recreate import is_auto_remove
from agent.features.claims import Claims
from agent.features.container_update.attempt import Attempt
from agent.features.container_update.looking import find, made_by, name_of
from agent.features.container_update.payload import MAX_STOP_S, Payload
from agent.features.container_update.record import KIND, from_job, to_job
from agent.features.container_update.reporting import Reporter
from agent.features.container_update.steps import Steps
from agent.features.telling import Teller
from agent.ports import (
    CommandFailed,
    EngineError,
    Handler,
    Json,
    RegistryAuth,
    Services,
    StoreError,
)

SERVER_WAITS_S = 180.0

ACKNOWLEDGE_S = 165.0
"""A pull may take this much of that time. What fails until then is the reply, and told to the user at once."""

LOOK_S = 15.0

STARTED: Json = {"status": "update_started"}

log = logging.getLogger("agent.container_update")


class ContainerUpdates:
    """The handler of `update_container`, and what goes on when nobody waits for it any more.

    Args:
        own: The container we run in: an update of it is one of the agent.
        claims: Holds what is worked on.
    """

    def __init__(self, services: Services, *, own: OwnContainer | None, claims: Claims) -> None:
        self._services, self._own, self._claims = services, own, claims
        self._engine, self._store = services.engine, services.store
        self._chart = Chart.load("container_update")
        self._reporter = Reporter(Teller(services.channel, services.clock))
        self._under_way: set[str] = set()  # by command ID
        self._numbers = count(1)

    def handler(self) -> Handler[Payload]:
        return Handler(
            name="update_container",
            payload=Payload,
            run=self._run,
            server_waits_s=lambda _: SERVER_WAITS_S,
            repeat=Repeat.PROBE,
            # A lane for each: a second update of the same container is refused at once and does not queue.
            lane=lambda _: f"update {next(self._numbers)}",
            subject=lambda payload: payload.container_id,
            probe=self._was_begun,
        )

    def engine_came_back(self) -> None:
        """The engine answers, for the first time or again: goes on with what is not finished."""
        self._services.detach(self._go_on(), "unfinished container updates")

    # The command

    async def _run(self, payload: Payload, command_id: str) -> Any:
        try:
            reference = ImageReference.parse(payload.new_image)
        except InvalidReference as invalid:
            raise CommandFailed(f"new_image {invalid}") from None
        self._claims.check(payload.container_id)
        found = await self._engine.inspect_container(payload.container_id, deadline_s=LOOK_S)
        container_id = str(found["Id"])
        if self._own is not None and self._own.is_meant_by(container_id):
            request = UpdateRequest(command_id, payload.new_image, reference.tag)
            return await self._services.self_update(request)
        for known_as in (container_id, name_of(found)):
            self._claims.check(known_as)
        _refuse_what_cannot_be_undone(found, payload)
        update = Update(
            command_id,
            container_id,
            name_of(found),
            payload.new_image,
            payload.stop_timeout_s,
            payload.health_timeout_s,
            self._services.clock(),
        )
        attempt = Attempt(_auth(payload, reference))
        self._begin(update, attempt)
        return await self._acknowledge(attempt)

    async def _acknowledge(self, attempt: Attempt) -> Json:
        try:
            refusal = await attempt.decision(within_s=ACKNOWLEDGE_S)
        except asyncio.CancelledError:
            attempt.is_given_up = True
            raise
        attempt.acknowledged_at = attempt.acknowledged_at or self._services.clock()
        if refusal:
            raise CommandFailed(refusal)
        return STARTED

    async def _was_begun(self, entry: Entry) -> Json | None:
        """Whether a command of a dead process goes on, or came to a good end."""
        for job in await self._store.jobs():
            if job.id == entry.command_id and job.kind == KIND:
                touched = from_job(job).state not in ("pulling", "configuring", "rollback")
                return STARTED if touched else None
        return STARTED if await made_by(self._engine, entry.command_id) else None

    # What a process before us left

    async def _go_on(self) -> None:
        try:
            for job in await self._store.jobs():
                if job.kind == KIND and job.id not in self._under_way:
                    await self._resume(job)
        except (StoreError, EngineError) as error:
            log.error("unfinished container updates have to wait: %s", error)

    async def _resume(self, job: Job) -> None:
        try:
            record = from_job(job)
            self._claims.check(record.update.name)
        except ValidationError:
            log.error("the record of the update of %s cannot be read", job.subject)
            return
        except CommandFailed as held:
            log.warning("an update of %s cannot go on yet: %s", job.subject, held)
            return
        state, update = resumed(record.state, record.update, self._services.clock())
        attempt = Attempt(is_resumed=True)
        attempt.acknowledged_at = update.began_at
        attempt.is_reported = record.update.has_leftovers
        log.warning("the update of %s goes on: %s", update.name, state)
        if state == "failed":
            await self._conclude(state, update, attempt)
        elif state == "rollback" and await find(self._engine, update.container_id) is None:
            log.error("%s has been removed; it cannot be put back", update.backup_name)
            await self._end_job(update)
        else:
            self._begin(update, attempt, at=state)

    # Seeing it through

    def _begin(self, update: Update, attempt: Attempt, *, at: str | None = None) -> None:
        machine = ContainerUpdate(self._chart, update, at=at)
        steps = Steps(
            self._services,
            attempt,
            self._reporter,
            command_id=update.command_id,
            own=self._own,
            claims=self._claims,
        )
        steps.claim(update)
        self._under_way.add(update.command_id)
        ended = self._services.conduct(machine, steps.by_name(), subject=update.name)
        self._services.detach(
            self._see_through(machine, ended, attempt), f"update of {update.name}"
        )

    async def _see_through(
        self, machine: ContainerUpdate, ended: asyncio.Future[str], attempt: Attempt
    ) -> None:
        try:
            await asyncio.wait({ended})
            if not ended.cancelled():
                await self._conclude(ended.result(), machine.memory, attempt)
        finally:
            self._claims.release(machine.memory.command_id)
            self._under_way.discard(machine.memory.command_id)

    async def _conclude(self, outcome: str, update: Update, attempt: Attempt) -> None:
        """Tells whoever has to know, and forgets the job unless a later process has to do something about it."""
        if outcome == "suspended":
            return
        if outcome == "completed":
            await self._complete(update, attempt)
            return
        if outcome != "rolled_back":
            self._reporter.stage("failed", update, error=update.trouble or update.reason)
        if attempt.acknowledged_at is not None:
            self._reporter.failed(update)
        attempt.decide(update.reason)
        if outcome != "stranded":
            await self._end_job(update)

    async def _complete(self, update: Update, attempt: Attempt) -> None:
        if attempt.is_reported:
            await self._end_job(update)
        else:
            self._reporter.stage("completed", update)
            if attempt.is_resumed:
                self._reporter.acknowledge(update, STARTED)
            row = completion(update)
            try:
                await self._store.end_job(update.command_id, [row])
            except StoreError as error:
                log.error("that %s was updated is not written down: %s", update.name, error)
                self._reporter.completed(row.payload)
            self._services.news()
        if update.has_leftovers:
            await self._keep(update)

    async def _end_job(self, update: Update) -> None:
        try:
            await self._store.end_job(update.command_id, [])
        except StoreError as error:
            log.error("the end of the update of %s is not written down: %s", update.name, error)

    async def _keep(self, update: Update) -> None:
        """What could not be removed is tried again later, and nothing else is."""
        try:
            await self._store.save_job(to_job("cleanup", update))
        except StoreError as error:
            log.error("%s has to be removed by hand: %s", update.backup_name, error)


def _refuse_what_cannot_be_undone(found: Json, payload: Payload) -> None:
    name = name_of(found)
    if is_auto_remove(found):
        raise CommandFailed(
            f"{name} was started with --rm: to stop it would be to remove it, with no way back; "
            "start it anew with the new image"
        )
    if payload.stop_timeout_s > MAX_STOP_S:
        raise CommandFailed(
            f"a stop timeout of {payload.stop_timeout_s} s does not fit into the time the server waits; "
            f"set at most {MAX_STOP_S} s"
        )


def _auth(payload: Payload, reference: ImageReference) -> RegistryAuth | None:
    given = payload.registry_auth
    if given is None or not given.username:
        return None
    return RegistryAuth(given.username, given.password.get_secret_value(), reference.auth_server)
