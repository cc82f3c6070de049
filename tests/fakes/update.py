"""A self-update that goes as a test says it does."""

from __future__ import annotations

import asyncio

from agent.core.lifecycle import UpdateFailed, UpdateRequest, UpdateStaged
from agent.ports import CommandFailed


class FakeUpdate:
    """Takes `takes_s` and is then staged, or fails of `reason`.

    Attributes:
        followed: Requests that were begun.
        cancelled: Requests that were cut short.
    """

    available = True

    def __init__(self, *, takes_s: float = 10.0, reason: str = "", refusal: str = "") -> None:
        self._takes_s, self._reason, self._refusal = takes_s, reason, refusal
        self.followed: list[UpdateRequest] = []
        self.cancelled: list[UpdateRequest] = []

    async def admit(self, request: UpdateRequest) -> None:
        if self._refusal:
            raise CommandFailed(self._refusal)

    async def agreed(self, request: UpdateRequest) -> None: ...

    def answered(self, command_id: str) -> None: ...

    def registered(self) -> None: ...

    async def follow(self, request: UpdateRequest) -> UpdateStaged | UpdateFailed:
        self.followed.append(request)
        try:
            await asyncio.sleep(self._takes_s)
        except asyncio.CancelledError:
            self.cancelled.append(request)
            raise
        return UpdateFailed(self._reason) if self._reason else UpdateStaged(request.version)
