"""Self-update where there is nothing that could carry it out."""

from __future__ import annotations

from agent.core.lifecycle import UpdateFailed, UpdateRequest
from agent.ports import CommandFailed

REASON = (
    "this agent does not update itself: pull its new image and recreate its container on the host"
)


class NoSelfUpdate:
    available = False

    async def admit(self, request: UpdateRequest) -> None:
        raise CommandFailed(REASON)

    async def follow(self, request: UpdateRequest) -> UpdateFailed:
        return UpdateFailed(REASON)
