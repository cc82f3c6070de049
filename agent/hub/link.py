"""One agent's socket, seen from the server, with valves that a test can turn."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from websockets.asyncio.server import ServerConnection

TOO_BIG = 1009
"""The close code for a message over the limit."""

WINDOW_BYTES = 64 * 1024


class Link(ServerConnection):
    """Reads while nobody holds it back; writes into the void once it is muted.

    It stands in `known` from the first byte until its socket is gone.
    """

    def __init__(self, *args: Any, known: set[Link], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.silent = False
        """Connected, but not polled."""
        self.muted = False
        self._known = known
        self._holds: set[str] = set()
        self._bytes_per_s: float | None = None
        self._socket: asyncio.Transport

    def hold(self, reason: str) -> None:
        """Stops reading, so that the kernel's buffers fill and then the agent's."""
        self._holds.add(reason)
        self.transport.pause_reading()

    def close_window(self) -> None:
        """Has the kernel take hardly anything while nobody reads. Left to itself it takes megabytes, bit by bit."""
        if (sock := self._socket.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW_BYTES)

    def release(self, reason: str) -> None:
        """Reads on, unless somebody else still holds."""
        self._holds.discard(reason)
        if not self._holds:
            self.transport.resume_reading()

    def throttle(self, bytes_per_s: float | None) -> None:
        """Reads no faster than that, from the next read on. None: as fast as it comes."""
        self._bytes_per_s = bytes_per_s

    def mute(self) -> None:
        """From now on nothing reaches the agent: no frame, no pong, no close, no reset. For good."""
        self.muted = True
        self.transport = _Void(self._socket, self)

    def shut(self) -> None:
        """Resets the TCP connection, muted or not."""
        self._known.discard(self)
        self._socket.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._socket = self.transport
        self._known.add(self)
        # The queue of frames is one who holds among others: emptied, it must not undo a fault.
        self.recv_messages.pause = lambda: self.hold("queue")
        self.recv_messages.resume = lambda: self.release("queue")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._bytes_per_s is not None:
            self.hold("throttle")
            self.loop.call_later(len(data) / self._bytes_per_s, self.release, "throttle")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.muted:  # else its socket may still be there
            self._known.discard(self)
        if not self.connection_lost_waiter.done():  # a muted link can be lost twice
            super().connection_lost(exc)


class _Void(asyncio.Transport):
    """A socket whose packets no longer arrive: the server may even drop it, and the agent is not told."""

    def __init__(self, socket: asyncio.Transport, link: Link) -> None:
        super().__init__()
        self._socket, self._link = socket, link

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...

    def abort(self) -> None:
        self._socket.set_protocol(asyncio.Protocol())  # what still comes in concerns nobody
        self._link.loop.call_soon(self._link.connection_lost, None)

    def is_closing(self) -> bool:
        return self._socket.is_closing()

    def pause_reading(self) -> None:
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        self._socket.resume_reading()
