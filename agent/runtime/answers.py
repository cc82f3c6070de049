"""Replies on their way: over whichever session is there, for as long as the server waits."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from agent.core import replies
from agent.ports import ChannelFull, Clock, LinkClosed, Priority
from agent.runtime.requests import Outcome, Request
from agent.runtime.session import Session

FULL_S = 0.5
"""When the link is full, this long until the next try: it empties a batch at a time."""

UNCONFIRMED_BYTES = 2 * 1024 * 1024
"""Of replies that are kept until they are known to have arrived. What is on its way to a peer that reads is less."""

log = logging.getLogger("agent.commands")


@dataclass(frozen=True, slots=True)
class Sent:
    """A reply that was written, with its mark for `Session.confirmed`."""

    request: Request
    message: bytes
    mark: int
    expires_s: float


class Answers:
    """Sends exactly one reply for each request it is given, if there is a session in time."""

    def __init__(self, session: Session, *, clock: Clock) -> None:
        self._session, self._clock = session, clock
        self._unconfirmed_bytes = 0

    async def send(self, request: Request, outcome: Outcome, expires_s: float) -> Sent | None:
        """Sends the reply; None if there was no session until the server waited no more (`expires_s`, loop time)."""
        message = self._encode(request, outcome)
        try:
            async with asyncio.timeout_at(expires_s):
                mark = await self._send(request, message)
        except TimeoutError:
            log.warning("the reply to %s came too late to be sent", request.name)
            return None
        return Sent(request, message, mark, expires_s)

    def has_room(self, sent: Sent) -> bool:
        """Whether a reply may be kept until it is confirmed that could as well be asked for again."""
        return self._unconfirmed_bytes + len(sent.message) <= UNCONFIRMED_BYTES

    async def until_confirmed(self, sent: Sent) -> bool:
        """Sends it again over the next session for as long as no pong has shown that it arrived; false: none did."""
        mark = sent.mark
        self._unconfirmed_bytes += len(sent.message)
        try:
            async with asyncio.timeout_at(sent.expires_s):
                while True:
                    try:
                        await self._session.confirmed(mark)
                        return True
                    except LinkClosed:
                        mark = await self._send(sent.request, sent.message)
        except TimeoutError:
            return False  # nobody waits for it any more
        finally:
            self._unconfirmed_bytes -= len(sent.message)

    async def _send(self, request: Request, message: bytes) -> int:
        while True:
            await self._session.live()
            try:
                return await self._session.send(message, Priority.REPLY)
            except LinkClosed:
                continue  # the server takes it over the next connection as well
            except ChannelFull as full:
                message = self._encode(request, Outcome(error=f"not sent: {full}"))
                await asyncio.sleep(FULL_S)

    def _encode(self, request: Request, outcome: Outcome) -> bytes:
        at = self._clock()
        error = outcome.error
        if not error:
            try:
                if request.flat:
                    message = replies.result(request.id, outcome.payload)
                else:
                    message = replies.response(request.id, outcome.payload, at)
            except (ValueError, TypeError) as reason:
                error = f"the reply to {request.name} cannot be encoded: {reason}"
            else:
                if len(message) <= replies.MAX_MESSAGE_BYTES:
                    return message
                limit = replies.MAX_MESSAGE_BYTES
                error = f"the reply to {request.name} has {len(message)} bytes, the server takes {limit}"
        return replies.refusal(request.id, error, at, flat=request.flat)
