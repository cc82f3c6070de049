"""What this process knows of an update and no other may: credentials, who waits for the answer, how time passes."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from agent.ports import Clock, RegistryAuth


class Attempt:
    """One update as one process sees it.

    Attributes:
        auth: For the pull; None for a registry that wants none.
        acknowledged_at: When the server was told that the update has begun (aware); None before.
        is_resumed: A process before us began it.
        is_given_up: The server was not told in time, and takes the update for failed.
        is_reported: The server has been told of its success, by this process or one before.
    """

    def __init__(
        self, clock: Clock, auth: RegistryAuth | None = None, *, is_resumed: bool = False
    ) -> None:
        self.auth, self.is_resumed = auth, is_resumed
        self._loop = asyncio.get_running_loop()
        self._began_at, self._began_s = clock(), self._loop.time()
        self.acknowledged_at: datetime | None = None
        self.is_given_up = False
        self.is_reported = False
        self._decided: asyncio.Future[str] = self._loop.create_future()

    def now(self) -> datetime:
        """By the clock as it was at the beginning: setting it neither gives nor takes time."""
        return self._began_at + timedelta(seconds=self._loop.time() - self._began_s)

    @property
    def is_decided(self) -> bool:
        return self._decided.done()

    def decide(self, refusal: str = "") -> None:
        """It goes ahead, or has failed before anything was touched. Only the first decision counts."""
        if not self._decided.done():
            self._decided.set_result(refusal)

    async def decision(self, *, within_s: float) -> str | None:
        """Why it failed, "" if it goes ahead; None if that is not known in time."""
        await asyncio.wait({self._decided}, timeout=within_s)
        return self._decided.result() if self._decided.done() else None
