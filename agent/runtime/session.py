"""The connection to the server while there is one: dialled, kept alive, watched, closed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence

from agent.core import refusals
from agent.core.failures import Failure, FailureKind
from agent.core.lifecycle import Evicted, LinkLost
from agent.core.machine import Event
from agent.ports import Link, LinkClosed, Priority, Scope, Server
from agent.runtime.uplink import Uplink

DIAL_S = 20.0
ANSWER_S = 15.0
"""The server answers a `register` at once; it may be busy with a hundred others after its own restart."""

PING_EVERY_S = 20.0
PONG_S = 20.0
"""A link that went silent is noticed after 40 s at the latest, as the server notices ours."""

CLOSE_S = 1.5
INCOMING = 256
"""Messages read and not yet taken. The dispatcher takes them at once, so this only absorbs bursts."""


class NoAnswer(Exception):
    """The server took the connection and did not answer the `register`. `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Session:
    """The lifecycle's resource `session`. One link at a time, from the dial to the close frame.

    Everyone who sends goes through here; who holds a reply for a link that broke awaits `live()` and sends again.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._scope: Scope
        self._link: Link | None = None
        self._uplink = Uplink()
        self._live = asyncio.Event()
        self._confirmed = 0
        self._unconfirmed: list[tuple[int, asyncio.Future[None]]] = []
        self._since_s = 0.0
        self.incoming: asyncio.Queue[str | bytes] = asyncio.Queue(INCOMING)
        self.messages_received = 0
        self.bytes_received = 0

    # The resource

    def acquire(self, scope: Scope) -> None:
        self._scope = scope
        self._confirmed = 0
        self._uplink = Uplink()
        self.incoming = asyncio.Queue(INCOMING)

    async def release(self) -> None:
        link = self._hang_up(LinkClosed(1000, "closed by us"))
        if link is not None:
            await link.close(1000, "", deadline_s=CLOSE_S)

    def abort(self) -> None:
        if (link := self._hang_up(LinkClosed(1006, "aborted by us"))) is not None:
            link.abort()

    # Registering

    async def ask(self, register: bytes) -> object:
        """Dials, sends `register` and returns the decoded answer. Replaces a link that was asked before.

        Raises:
            DialFailed: There is no link.
            NoAnswer: There was one, and it ended without an answer or with one that is not JSON.
        """
        if self._link is not None:
            await self._link.close(1000, "", deadline_s=CLOSE_S)
        link = self._link = await self._server.dial(deadline_s=DIAL_S)
        try:
            async with asyncio.timeout(ANSWER_S):
                await link.send([register], progress_s=ANSWER_S)
                return json.loads(await link.receive())
        except TimeoutError:
            text = f"no answer to register within {ANSWER_S:.0f} s"
            raise NoAnswer(Failure(FailureKind.TIMEOUT, text)) from None
        except LinkClosed as closed:
            raise NoAnswer(closed.failure) from closed
        except (ValueError, RecursionError) as error:
            text = "the answer to register is not JSON"
            failure = Failure(FailureKind.HANDSHAKE, text, refusals.NOT_DOCKMON)
            raise NoAnswer(failure) from error

    def go_live(self) -> None:
        """Begins reading, writing and watching the link that was let in."""
        assert self._link is not None
        self._since_s = asyncio.get_running_loop().time()
        for work, name in (
            (self._read, "reader"),
            (self._uplink.pump, "writer"),
            (self._watch, "watch"),
        ):
            self._scope.spawn(self._until_closed(self._link, work), name)
        self._live.set()

    # Sending

    @property
    def is_live(self) -> bool:
        return self._live.is_set()

    @property
    def lasted_s(self) -> float:
        """Seconds since the server let us in."""
        return asyncio.get_running_loop().time() - self._since_s

    @property
    def traffic(self) -> tuple[int, int]:
        """(messages, bytes) sent over this link."""
        return self._uplink.messages_sent, self._uplink.bytes_sent

    async def live(self) -> None:
        """Returns when there is a session; at once if there is one now."""
        await self._live.wait()

    def put(self, message: bytes, priority: Priority) -> asyncio.Future[int]:
        """Queues `message`. The future is done once the transport has taken it, with a mark for `confirmed`.

        Raises (the future too):
            LinkClosed: It may not have arrived.
            ChannelFull: It was not sent.
        """
        return self.put_all([message], priority)

    def put_all(self, messages: Sequence[bytes], priority: Priority) -> asyncio.Future[int]:
        """As `put`, for messages that belong together."""
        if not self.is_live:
            raise LinkClosed(1006, "no session")
        return self._uplink.put_all(messages, priority)

    async def send(self, message: bytes, priority: Priority) -> int:
        """As `put`, and waits for the mark."""
        return await self.put(message, priority)

    async def confirmed(self, mark: int) -> None:
        """Returns once a pong has proved that everything up to `mark` reached the server.

        Raises:
            LinkClosed: It may not have arrived.
        """
        if self._confirmed >= mark:
            return
        if not self.is_live:
            raise LinkClosed(1006, "no session")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unconfirmed.append((mark, waiter))
        await waiter

    async def confirm(self) -> None:
        """Pings now: everything sent so far is confirmed when this returns.

        Raises:
            LinkClosed: It may not have arrived.
        """
        link = self._link
        if link is None:
            raise LinkClosed(1006, "no session")
        mark = self._uplink.messages_sent
        try:
            await link.ping(deadline_s=PONG_S)
        except LinkClosed as closed:
            self._lost(link, closed)
            raise
        if self._link is not link:
            raise LinkClosed(1006, "another session")
        self._confirmed = max(self._confirmed, mark)
        waiting, self._unconfirmed = self._unconfirmed, []
        for needed, waiter in waiting:
            if needed > self._confirmed:
                self._unconfirmed.append((needed, waiter))
            elif not waiter.done():
                waiter.set_result(None)

    # Tasks of one link

    async def _read(self, link: Link) -> None:
        while True:
            message = await link.receive()
            self.messages_received += 1
            self.bytes_received += len(message)
            await self.incoming.put(message)

    async def _watch(self, _: Link) -> None:
        while True:
            await asyncio.sleep(PING_EVERY_S)
            await self.confirm()

    async def _until_closed(self, link: Link, work: Callable[[Link], Awaitable[None]]) -> None:
        try:
            await work(link)
        except LinkClosed as closed:
            self._lost(link, closed)

    def _lost(self, link: Link, closed: LinkClosed) -> None:
        """Told by whoever notices first; what the others notice after that is only its consequence."""
        if link is self._link:
            self._hang_up(closed)
            self._scope.post(_told(closed, self.lasted_s))

    def _hang_up(self, closed: LinkClosed) -> Link | None:
        """From now on there is no session; whoever waits for one of its promises is told. Returns the link to end."""
        link, self._link = self._link, None
        self._live.clear()
        self._uplink.close(closed)
        waiting, self._unconfirmed = self._unconfirmed, []
        for _, waiter in waiting:
            if not waiter.done():
                waiter.set_exception(closed)
        return link


def _told(closed: LinkClosed, lasted_s: float) -> Event:
    if (closed.code, closed.reason) == refusals.EVICTED:
        return Evicted(lasted_s)
    return LinkLost(closed.failure, lasted_s)
