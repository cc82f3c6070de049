"""The `self_update` command: admitted or refused here, carried out by the lifecycle's `updating` state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import BaseModel, Field

from agent.core.ledger import Repeat
from agent.core.lifecycle import UpdateRequest, UpdateRequested
from agent.ports import Handler, Json, SelfUpdate

SERVER_WAITS_S = 150.0


class Payload(BaseModel):
    """The server also sends `binary_url` and `checksum`, for agents that are no containers."""

    image: str = Field(min_length=1, max_length=500)
    version: str = Field("", max_length=50)


def begin(
    update: SelfUpdate, post: Callable[[UpdateRequested], None]
) -> Callable[[UpdateRequest], Awaitable[Json]]:
    """How an update of the agent begins, whichever command asks for it. `post` tells the lifecycle."""

    async def begin(request: UpdateRequest) -> Json:
        await update.admit(request)
        post(UpdateRequested(request))
        return {"status": "self_update_started"}

    return begin


def self_update(begin: Callable[[UpdateRequest], Awaitable[Json]]) -> Handler[Payload]:
    async def run(payload: Payload, command_id: str) -> Json:
        return await begin(UpdateRequest(command_id, payload.image, payload.version))

    return Handler(
        name="self_update",
        payload=Payload,
        run=run,
        server_waits_s=lambda _: SERVER_WAITS_S,
        repeat=Repeat.NEVER,
        lane=lambda _: "self_update",
    )
