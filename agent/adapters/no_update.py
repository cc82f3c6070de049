"""Self-update where there is nothing that could carry it out."""

from __future__ import annotations

from agent.core.lifecycle import UpdateFailed, UpdateRequest
from agent.ports import CommandFailed

REASON = (
    "this agent does not update itself: pull its new image and recreate its container on the host"
)


class NoSelfUpdate:
    """Args: why not, and what to do by hand."""

    available = False

    def __init__(self, reason: str = REASON) -> None:
        self._reason = reason

    async def admit(self, request: UpdateRequest) -> None:
        raise CommandFailed(self._reason)

    async def agreed(self, request: UpdateRequest) -> None:
        raise AssertionError("nothing is admitted")

    def answered(self, command_id: str) -> None: ...

    def registered(self) -> None: ...

    async def follow(self, request: UpdateRequest) -> UpdateFailed:
        return UpdateFailed(self._reason)
