"""What waits to be sent over one connection, most urgent first."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from agent.ports import ChannelFull, Link, LinkClosed, Priority

BATCH_BYTES = 64 * 1024
"""Frames are joined up to this size: one system call for a tick's worth, and a pong never waits behind more."""

PROGRESS_S = 10.0
"""The peer has to take something within this time, or it is taken for gone."""

MAX_BYTES = 64 * 1024 * 1024
"""Four replies of the largest size. Events and samples never come near: their senders wait for each batch."""


@dataclass(slots=True)
class _Item:
    """Messages that are written together, and who is told so."""

    messages: Sequence[bytes]
    size_bytes: int
    written: asyncio.Future[int]


class Uplink:
    """A bounded queue per priority and the one writer that empties them."""

    def __init__(self) -> None:
        self._queues: dict[Priority, deque[_Item]] = {priority: deque() for priority in Priority}
        self._writing: list[_Item] = []
        self._waiting_bytes = 0
        self._filled = asyncio.Event()
        self._closed: LinkClosed | None = None
        self.messages_sent = 0
        self.bytes_sent = 0

    def put(self, message: bytes, priority: Priority) -> asyncio.Future[int]:
        """Queues one message. The future's result is the number of messages written by then, this one included.

        Raises:
            ChannelFull: It was not queued.
        """
        return self.put_all([message], priority)

    def put_all(self, messages: Sequence[bytes], priority: Priority) -> asyncio.Future[int]:
        """As `put`, for messages that nothing gets in between of. They had better be no more than a batch."""
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self._closed is not None:
            _fail(written, self._closed)
            return written
        size_bytes = sum(map(len, messages))
        if self._waiting_bytes + size_bytes > MAX_BYTES and self._waiting_bytes > 0:
            raise ChannelFull(f"{self._waiting_bytes} bytes are waiting to be sent")
        self._queues[priority].append(_Item(messages, size_bytes, written))
        self._waiting_bytes += size_bytes
        self._filled.set()
        return written

    async def pump(self, link: Link) -> None:
        """Writes until the link closes, and then tells so to whoever is waiting.

        Raises:
            LinkClosed: The link is gone.
        """
        try:
            while True:
                while self._take():
                    await self._write(link)
                self._filled.clear()
                await self._filled.wait()
        except LinkClosed as closed:
            self.close(closed)
            raise

    async def _write(self, link: Link) -> None:
        """Writes what was taken. A reply may have megabytes: nothing of it is held until the next one."""
        messages = [message for item in self._writing for message in item.messages]
        await link.send(messages, progress_s=PROGRESS_S)
        for item in self._writing:
            self.bytes_sent += item.size_bytes
            self.messages_sent += len(item.messages)
            if not item.written.done():
                item.written.set_result(self.messages_sent)
        self._writing = []

    def close(self, closed: LinkClosed) -> None:
        """Fails everything that waits, and what is being written: it may not have arrived. Idempotent."""
        self._closed = closed
        for item in self._writing:
            _fail(item.written, closed)
        for queue in self._queues.values():
            while queue:
                _fail(queue.popleft().written, closed)

    def _take(self) -> bool:
        """Chooses what is to be written next: as much as makes a batch, or one message that is larger."""
        size = 0
        for priority in Priority:
            queue = self._queues[priority]
            while queue and (not self._writing or size + queue[0].size_bytes <= BATCH_BYTES):
                item = queue.popleft()
                self._writing.append(item)
                size += item.size_bytes
            if queue:
                break  # nothing less urgent may pass what is left here
        self._waiting_bytes -= size
        return bool(self._writing)


def _fail(written: asyncio.Future[int], closed: LinkClosed) -> None:
    if not written.done():
        written.set_exception(closed)
        written.exception()  # whoever queued it may not be waiting: that is not worth a line in the log
