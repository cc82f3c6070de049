"""The `update_container` command: refused at once, or begun and acknowledged while the server waits for that."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

from agent.core.container_update import Update
from agent.core.image_reference import ImageReference, InvalidReference
from agent.core.ledger import Entry, Repeat
from agent.core.lifecycle import UpdateRequest
from agent.core.own_container import OwnContainer
from agent.core.recreate import is_auto_remove
from agent.features.claims import Claims
from agent.features.container_update.attempt import Attempt
from agent.features.container_update.endings import Endings
from agent.features.container_update.looking import LOOK_S, made_by, name_of, state_of
from agent.features.container_update.payload import MAX_STOP_S, Payload
from agent.features.container_update.record import KIND, from_job
from agent.features.container_update.recovery import Recovery
from agent.features.container_update.reporting import STARTED, Reporter
from agent.features.container_update.under_way import UnderWay
from agent.features.telling import Teller
from agent.ports import CommandFailed, Handler, Json, RegistryAuth, Services

SERVER_WAITS_S = 180.0

ACKNOWLEDGE_S = 165.0
"""A pull may take this much of that time. What fails until then is the reply, and told to the user at once."""


class ContainerUpdates:
    """The handler of `update_container`, and what goes on when nobody waits for it any more.

    Args:
        own: The container we run in: an update of it is one of the agent.
        claims: Holds what is worked on.
    """

    def __init__(self, services: Services, *, own: OwnContainer | None, claims: Claims) -> None:
        self._services, self._own, self._claims = services, own, claims
        reporter = Reporter(Teller(services.channel, services.clock))
        endings = Endings(services, reporter)
        self._under_way = UnderWay(services, reporter, endings, own=own, claims=claims)
        self._recovery = Recovery(services, self._under_way, endings)
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
        self._services.detach(self._recovery.run(), "unfinished container updates")

    # The command

    async def _run(self, payload: Payload, command_id: str) -> Any:
        try:
            reference = ImageReference.parse(payload.new_image)
        except InvalidReference as invalid:
            raise CommandFailed(f"new_image {invalid}") from None
        self._claims.check(payload.container_id)
        found = await self._services.engine.inspect_container(
            payload.container_id, deadline_s=LOOK_S
        )
        container_id = str(found["Id"])
        if self._own is not None and self._own.is_meant_by(container_id):
            request = UpdateRequest(
                command_id, payload.new_image, reference.tag, command="update_container"
            )
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
        attempt = Attempt(self._services.clock, _auth(payload, reference))
        self._under_way.begin(update, attempt)
        return await self._acknowledge(attempt)

    async def _acknowledge(self, attempt: Attempt) -> Json:
        try:
            refusal = await attempt.decision(within_s=ACKNOWLEDGE_S)
        except asyncio.CancelledError:
            attempt.is_given_up = True
            raise
        attempt.acknowledged_at = attempt.acknowledged_at or attempt.now()
        if refusal:
            raise CommandFailed(refusal)
        return STARTED

    async def _was_begun(self, entry: Entry) -> Json | None:
        """Whether a command of a dead process goes on, or came to a good end."""
        for job in await self._services.store.jobs():
            if job.id == entry.command_id and job.kind == KIND:
                touched = from_job(job).state not in ("pulling", "configuring", "rollback")
                return STARTED if touched else None
        return STARTED if await made_by(self._services.engine, entry.command_id) else None


def _refuse_what_cannot_be_undone(found: Json, payload: Payload) -> None:
    name = name_of(found)
    if is_auto_remove(found):
        raise CommandFailed(
            f"{name} was started with --rm: to stop it would be to remove it, with no way back; "
            "start it anew with the new image"
        )
    if state_of(found).get("Paused"):
        raise CommandFailed(f"{name} is paused, and would run afterwards; resume it first")
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
