"""What the server may know and need not: progress for whoever watches, failures for the host's event log."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from agent.core import replies
from agent.ports import Channel, ChannelFull, Clock, LinkClosed, Priority

OUTSTANDING = 32
"""Messages that may wait for the link. A link that does not take them has better things to do than progress bars."""


class Teller:
    """Sends and forgets: without a session, or when too much waits already, a message is dropped.

    Args:
        outstanding: How many messages may wait for the transport; the newest is dropped beyond it.
    """

    def __init__(self, channel: Channel, clock: Clock, *, outstanding: int = OUTSTANDING) -> None:
        self._channel, self._clock, self._free = channel, clock, outstanding

    def tell(self, kind: str, payload: Mapping[str, Any]) -> None:
        """One event, as the server knows it by `kind`."""
        self._put(replies.event(kind, payload, self._clock()))

    def complain(self, error: str, *, details: str = "", container_id: str = "") -> None:
        """One error entry in the host's event log, about a container if there is one (an ID)."""
        self._put(replies.error_report(error, details=details, container_id=container_id[:12]))

    def answer(self, command_id: str, payload: object) -> None:
        """The reply to a command, where a process before us may have died with it: the server ignores a second one."""
        self._put(replies.response(command_id, payload, self._clock()), Priority.REPLY)

    def _put(self, message: bytes, priority: Priority = Priority.EVENT) -> None:
        if not self._free:
            return
        try:
            taken = self._channel.put(message, priority)
        except (LinkClosed, ChannelFull):
            return
        self._free -= 1
        taken.add_done_callback(self._taken)

    def _taken(self, taken: asyncio.Future[int]) -> None:
        self._free += 1
        if not taken.cancelled():
            taken.exception()  # whether it arrived is nothing to us, and an error nobody looks at is logged
