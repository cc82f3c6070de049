"""One update as the command sees it: whether it has begun, what was decided, whether the server knows."""

from __future__ import annotations

import asyncio

from agent.core.lifecycle import UpdateRequest


class Attempt:
    """Attributes:
    began: Set when the lifecycle follows it.
    answered: Set when the server has the reply.
    is_acknowledged: The reply was that it begins.
    is_followed: The lifecycle waits for its end.
    """

    def __init__(self, request: UpdateRequest) -> None:
        self.request = request
        self.began, self.answered = asyncio.Event(), asyncio.Event()
        self.is_acknowledged = self.is_followed = False
        loop = asyncio.get_running_loop()
        self.began_s = loop.time()
        self._decided: asyncio.Future[str] = loop.create_future()

    def decide(self, refusal: str = "") -> None:
        """It can be acknowledged, or has failed. Only the first decision counts."""
        if not self._decided.done():
            self._decided.set_result(refusal)

    async def decision(self, *, within_s: float) -> str:
        """Why it failed; "" if it can go on, or if that is not known in time."""
        await asyncio.wait({self._decided}, timeout=max(0.0, within_s))
        return self._decided.result() if self._decided.done() else ""
