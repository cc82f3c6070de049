"""What waits to be sent over one connection, most urgent first."""

from __future__ import annotations

import asyncio
from collections import deque

from agent.ports import ChannelFull, Link, LinkClosed, Priority

BATCH_BYTES = 64 * 1024
"""Frames are joined up to this size: one system call for a tick's worth, and a pong never waits behind more."""

PROGRESS_S = 10.0
"""The peer has to take something within this time, or it is taken for gone."""

MAX_BYTES = 64 * 1024 * 1024
"""Four replies of the largest size. Events and samples never come near: their senders wait for each batch."""


class Uplink:
    """A bounded queue per priority and the one writer that empties them."""

    def __init__(self) -> None:
        self._queues: dict[Priority, deque[tuple[bytes, asyncio.Future[int]]]] = {
            priority: deque() for priority in Priority
        }
        self._writing: list[tuple[bytes, asyncio.Future[int]]] = []
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
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self._closed is not None:
            _fail(written, self._closed)
            return written
        if self._waiting_bytes + len(message) > MAX_BYTES and self._waiting_bytes > 0:
            raise ChannelFull(f"{self._waiting_bytes} bytes are waiting to be sent")
        self._queues[priority].append((message, written))
        self._waiting_bytes += len(message)
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
                    messages = [message for message, _ in self._writing]
                    await link.send(messages, progress_s=PROGRESS_S)
                    self.bytes_sent += sum(map(len, messages))
                    for _, written in self._writing:
                        self.messages_sent += 1
                        if not written.done():
                            written.set_result(self.messages_sent)
                    self._writing = []
                self._filled.clear()
                await self._filled.wait()
        except LinkClosed as closed:
            self.close(closed)
            raise

    def close(self, closed: LinkClosed) -> None:
        """Fails everything that waits, and what is being written: it may not have arrived. Idempotent."""
        self._closed = closed
        for _, written in self._writing:
            _fail(written, closed)
        for queue in self._queues.values():
            while queue:
                _fail(queue.popleft()[1], closed)

    def _take(self) -> bool:
        """Chooses what is to be written next: as much as makes a batch, or one message that is larger."""
        size = 0
        for priority in Priority:
            queue = self._queues[priority]
            while queue and (not self._writing or size + len(queue[0][0]) <= BATCH_BYTES):
                message, written = queue.popleft()
                self._writing.append((message, written))
                size += len(message)
            if queue:
                break  # nothing less urgent may pass what is left here
        self._waiting_bytes -= size
        return bool(self._writing)


def _fail(written: asyncio.Future[int], closed: LinkClosed) -> None:
    if not written.done():
        written.set_exception(closed)
        written.exception()  # whoever queued it may not be waiting: that is not worth a line in the log
