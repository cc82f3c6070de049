"""The session as those see it who send over it; the test is the link."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from agent.ports import ChannelFull, Json, LinkClosed, Priority


class FakeChannel:
    """Takes everything at once, unless a test says otherwise.

    Attributes:
        sent: What was queued, decoded, in order: each with its priority.
        is_live: There is a session; without one nothing is taken.
        is_full: Too much waits already.
        takes: What is queued is taken at once. Else it waits for `take_all` or `cut`.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[Priority, Json]] = []
        self.is_live = self.takes = True
        self.is_full = False
        self._waiting: list[asyncio.Future[int]] = []

    def put(self, message: bytes, priority: Priority) -> asyncio.Future[int]:
        return self.put_all([message], priority)

    def put_all(self, messages: Sequence[bytes], priority: Priority) -> asyncio.Future[int]:
        if not self.is_live:
            raise LinkClosed(1006, "no session")
        if self.is_full:
            raise ChannelFull("too much is waiting to be sent")
        self.sent += [(priority, json.loads(message)) for message in messages]
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(written)
        if self.takes:
            self.take_all()
        return written

    async def send(self, message: bytes, priority: Priority) -> int:
        return await self.put(message, priority)

    async def confirm(self) -> None:
        if not self.is_live:
            raise LinkClosed(1006, "no session")

    @property
    def messages(self) -> list[Json]:
        return [message for _, message in self.sent]

    def payloads(self, kind: str) -> list[Json]:
        """Those of the events that the server knows by `kind`."""
        return [message["payload"] for message in self.messages if message.get("command") == kind]

    def take_all(self) -> None:
        """The transport takes what waits."""
        for written in self._waiting:
            written.set_result(len(self.sent))
        self._waiting.clear()

    def cut(self) -> None:
        """The link breaks; what waits may not have arrived."""
        self.is_live = False
        for written in self._waiting:
            written.set_exception(LinkClosed(1006, ""))
        self._waiting.clear()

    def give_up(self) -> None:
        """What waits is cancelled, as when everything ends."""
        for written in self._waiting:
            written.cancel()
        self._waiting.clear()
