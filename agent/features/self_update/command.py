"""The `self_update` command: admitted or refused at once, and acknowledged when the new release can run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count

from pydantic import BaseModel, Field

from agent.core.ledger import Entry, Repeat
from agent.core.lifecycle import UpdateRequest, UpdateRequested
from agent.ports import Handler, Json, SelfUpdate

SERVER_WAITS_S = 150.0

STARTED: Json = {"status": "self_update_started"}
"""The acknowledgement."""


class Payload(BaseModel):
    """`image` is for containers, `binary_url` and its SHA-256 for agents that are none. The server sends all."""

    image: str = Field("", max_length=500)
    version: str = Field("", max_length=50)
    binary_url: str | None = Field(None, max_length=2000)
    checksum: str | None = Field(None, max_length=200)


def begin(
    update: SelfUpdate, post: Callable[[UpdateRequested], None]
) -> Callable[[UpdateRequest], Awaitable[Json]]:
    """How an update of the agent begins, whichever command asks for it. `post` tells the lifecycle."""

    async def begin(request: UpdateRequest) -> Json:
        await update.admit(request)
        post(UpdateRequested(request))
        await update.agreed(request)
        return STARTED

    return begin


async def _was_not_done(_: Entry) -> None:
    """What a dead process had not acknowledged did not come to a switch, and is swept."""


def self_update(begin: Callable[[UpdateRequest], Awaitable[Json]]) -> Handler[Payload]:
    numbers = count(1)

    async def run(payload: Payload, command_id: str) -> Json:
        return await begin(
            UpdateRequest(
                command_id,
                payload.image,
                payload.version,
                binary_url=payload.binary_url or "",
                checksum=payload.checksum or "",
            )
        )

    return Handler(
        name="self_update",
        payload=Payload,
        run=run,
        server_waits_s=lambda _: SERVER_WAITS_S,
        repeat=Repeat.PROBE,
        probe=_was_not_done,
        # A lane for each: a second one is refused at once and does not queue.
        lane=lambda _: f"self_update {next(numbers)}",
        subject=lambda payload: payload.image[:200],
    )
