"""The server, and the way to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol

from agent.core import refusals
from agent.core.failures import Failure, FailureKind


class DialFailed(Exception):
    """No WebSocket came to be. `failure` says why and what to do."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class LinkClosed(Exception):
    """The WebSocket is gone. `code` and `reason` are the close frame's (1006 and "" without one), sent by us or not."""

    def __init__(self, code: int, reason: str, *, by_us: bool = False) -> None:
        super().__init__(f"{code} {reason}".rstrip())
        self.code, self.reason, self.by_us = code, reason, by_us

    @property
    def failure(self) -> Failure:
        """What it means to an operator."""
        return refusals.closed(self.code, self.reason, by_us=self.by_us)


class Link(Protocol):
    """One open WebSocket. Calls raise `LinkClosed` when it is gone."""

    async def receive(self) -> str | bytes:
        """The next message: text, or bytes for a binary frame."""

    async def send(self, messages: Sequence[bytes], *, progress_s: float) -> None:
        """Sends UTF-8 text messages in one write as far as possible; large ones in fragments, draining between.

        Raises:
            LinkStalled: The peer took nothing for `progress_s`; the link has been aborted.
        """

    async def ping(self, *, deadline_s: float) -> None:
        """Returns when the pong is here: all that was sent before has then reached the server.

        Raises:
            LinkStalled: No pong within `deadline_s`, sending included; the link has been aborted.
        """

    async def close(self, code: int, reason: str, *, deadline_s: float) -> None:
        """Sends a close frame, waits for the answer, aborts at the deadline. Never raises."""

    def abort(self) -> None: ...


class LinkStalled(LinkClosed):
    """The peer is there and does not read, or is gone without a word."""

    @property
    def failure(self) -> Failure:
        return Failure(FailureKind.SILENT, self.reason)


class Server(Protocol):
    """Where the server is. One attempt a call: the lifecycle owns retrying."""

    async def dial(self, *, deadline_s: float) -> Link:
        """Opens the WebSocket.

        Raises:
            DialFailed: It could not be opened within `deadline_s`.
        """


# --- What is sent while there is a session


class Priority(IntEnum):
    """Lower goes first."""

    REPLY = 0
    SHELL = 1
    EVENT = 2
    SAMPLE = 3


class ChannelFull(Exception):
    """More waits to be sent than may: the link cannot keep up with what is asked of us. Nothing was queued."""


class Channel(Protocol):
    """The session, for those who send over it."""

    @property
    def is_live(self) -> bool: ...

    def put(self, message: bytes, priority: Priority) -> asyncio.Future[int]:
        """Queues `message`. The future is done once the transport has taken it.

        Raises (the future too):
            LinkClosed: It may not have arrived.
            ChannelFull: It was not sent.
        """

    def put_all(self, messages: Sequence[bytes], priority: Priority) -> asyncio.Future[int]:
        """As `put`, for messages that belong together: they leave in one write, if they are small."""

    async def send(self, message: bytes, priority: Priority) -> int:
        """As `put`, and waits for the transport."""

    async def confirm(self) -> None:
        """Returns once everything sent so far has arrived: the server read it from the connection, and says so.

        Raises:
            LinkClosed: It may not have arrived.
        """
