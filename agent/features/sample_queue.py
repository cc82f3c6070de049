"""Samples on their way to the session: of each container the newest, and no more than the link takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from agent.core.replies import event
from agent.core.slots import Slots
from agent.ports import Channel, ChannelFull, Clock, Json, LinkClosed, Priority

BATCH = 50
"""As many samples as make one write of some 20 kB. The next are encoded when these have arrived: what waits in the
kernel would be in the way of replies, and on a slow link of a pong for longer than the server waits for one."""

RETRY_FULL_S = 1.0
"""Replies may fill the link. Samples can wait: newer ones take their places meanwhile."""

CAPACITY = 4096


class SampleQueue:
    """Sends `container_stats` events, oldest place first, in batches of which one at a time is under way."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._channel, self._clock = channel, clock
        self._waiting: Slots[Json] = Slots(CAPACITY)
        self._filled = asyncio.Event()

    def put(self, samples: Iterable[Json]) -> None:
        for sample in samples:
            self._waiting.put(sample["container_id"], sample)
        self._filled.set()

    def clear(self) -> None:
        self._waiting.clear()

    async def send(self) -> None:
        """Sends until the session ends, and says nothing about that: the session does."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while batch := self._waiting.take(BATCH):
                try:
                    await asyncio.gather(*map(self._put, batch))
                    await self._channel.confirm()
                except LinkClosed:
                    return
                except ChannelFull:
                    await asyncio.sleep(RETRY_FULL_S)

    def _put(self, sample: Json) -> asyncio.Future[int]:
        message = event("container_stats", sample, self._clock())
        return self._channel.put(message, Priority.SAMPLE)
