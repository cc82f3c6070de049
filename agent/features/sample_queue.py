"""Samples on their way to the session: of each container the newest, and no more than the link takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from agent.core.batch_size import BatchSize
from agent.core.encoded_sample import EncodedSample
from agent.core.replies import events
from agent.core.slots import Slots
from agent.ports import Channel, ChannelFull, Clock, LinkClosed, Priority

RETRY_FULL_S = 1.0
"""Replies may fill the link. Samples can wait: newer ones take their places meanwhile."""

CAPACITY = 4096


class SampleQueue:
    """Sends `container_stats` events, oldest place first, in batches of which one at a time is under way."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._channel, self._clock = channel, clock
        self._waiting: Slots[bytes] = Slots(CAPACITY)
        self._filled = asyncio.Event()
        self._is_under_way = False

    @property
    def is_behind(self) -> bool:
        """Whether there is anything that has not arrived yet."""
        return self._is_under_way or bool(self._waiting)

    def put(self, samples: Iterable[EncodedSample]) -> None:
        for sample in samples:
            self._waiting.put(sample.container_id, sample.encoded)
        self._filled.set()

    def clear(self) -> None:
        self._waiting.clear()
        self._is_under_way = False

    async def send(self) -> None:
        """Sends until the session ends, and says nothing about that: the session does."""
        size = BatchSize()
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                try:
                    await self._send_batch(size)
                except LinkClosed:
                    return

    async def _send_batch(self, size: BatchSize) -> None:
        loop = asyncio.get_running_loop()
        self._is_under_way, began_s = True, loop.time()
        try:
            batch = self._waiting.take(size.limit)
            messages = events("container_stats", batch, self._clock())
            await self._channel.put_all(messages, Priority.SAMPLE)
            await self._channel.confirm()
            size.arrived(loop.time() - began_s)
        except ChannelFull:
            await asyncio.sleep(RETRY_FULL_S)
        finally:
            self._is_under_way = False
