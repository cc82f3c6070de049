"""The socket for statistics while it lasts: the newest sample of each container, and nothing that has to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from agent.core.batch_size import BatchSize
from agent.core.encoded_sample import EncodedSample
from agent.core.identity import Identity
from agent.core.lifecycle import AttemptFailed, LinkLost, RetryDue
from agent.core.machine import Event
from agent.core.slots import Slots
from agent.core.stats_frame import frame
from agent.core.stats_link import LinkOpened, TokenChanged, TokenKnown, explained
from agent.ports import Activity, DialFailed, Link, LinkClosed, Scope, Server
from agent.runtime.session import CLOSE_S, DIAL_S, PING_EVERY_S, PONG_S
from agent.runtime.uplink import PROGRESS_S

FRESH_S = 30.0
"""The server stamps a sample when it arrives, so an older one would be a lie."""

CAPACITY = 4096


class StatsLink:
    """The activities of `statecharts/stats_link.toml`, its resource `stats_socket`, and an `agent.ports.SampleSink`.

    Args:
        connect: Makes the endpoint to dial, given the token to show there.
    """

    def __init__(self, connect: Callable[[str], Server]) -> None:
        self._connect = connect
        self._token = ""
        self._link: Link | None = None
        self._opened_with = ""
        self._welcomed, self._filled = asyncio.Event(), asyncio.Event()
        self._waiting: Slots[tuple[float, bytes]] = Slots(CAPACITY)

    def by_name(self) -> Mapping[str, Activity]:
        return {
            "await_token": self.await_token,
            "dial": self.dial,
            "stream": self.stream,
            "await_retry": self.await_retry,
        }

    # Told by others

    def welcomed(self, identity: Identity) -> None:
        """To be called after each registration: the server is there, and this is who we are to it."""
        self._token = identity.permanent_token
        self._welcomed.set()

    def offer(self, samples: Sequence[EncodedSample]) -> None:
        """Keeps the newest of each container for the next write, without those that the server would choke on."""
        now_s = asyncio.get_running_loop().time()
        for sample in samples:
            if (encoded := frame(sample)) is not None:
                self._waiting.put(sample.container_id, (now_s, encoded))
        self._filled.set()

    # The resource

    def acquire(self, scope: Scope) -> None:
        """There is nothing to hold until it is dialled."""

    async def release(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close(1000, "", deadline_s=CLOSE_S)

    def abort(self) -> None:
        if self._link is not None:
            self._link.abort()

    # Activities

    async def await_token(self, _: object) -> Event:
        await self._welcomed.wait()
        return TokenKnown()

    async def dial(self, _: object) -> Event:
        await self.release()
        self._welcomed.clear()
        self._opened_with = self._token
        try:
            self._link = await self._connect(self._token).dial(deadline_s=DIAL_S)
        except DialFailed as failed:
            return AttemptFailed(explained(failed.failure))
        return LinkOpened()

    async def await_retry(self, delay_s: float) -> Event:
        # A registration meanwhile: the server is there again, or knows us again.
        try:
            async with asyncio.timeout(delay_s):
                await self._welcomed.wait()
        except TimeoutError:
            pass
        return RetryDue()

    async def stream(self, _: object) -> Event:
        link = self._link
        assert link is not None
        ended: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._until_closed(link, work, ended))
                for work in (self._read, self._write, self._watch)
            ]
            tasks.append(group.create_task(self._until_other_token(ended)))
            event = await ended
            for task in tasks:
                task.cancel()
        return event

    # What streaming is made of

    async def _read(self, link: Link) -> None:
        # It says nothing, but what controls the connection is read with it.
        while True:
            await link.receive()

    async def _write(self, link: Link) -> None:
        size = BatchSize()
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                await self._write_batch(link, size)

    async def _write_batch(self, link: Link, size: BatchSize) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        if frames := self._frames(size.limit):
            await link.send(frames, progress_s=PROGRESS_S)
            # The next leave when these have arrived: what waits in the kernel gets too old.
            await link.ping(deadline_s=PONG_S)
            size.arrived(loop.time() - began_s)

    async def _watch(self, link: Link) -> None:
        while True:
            await asyncio.sleep(PING_EVERY_S)
            await link.ping(deadline_s=PONG_S)

    async def _until_closed(
        self,
        link: Link,
        work: Callable[[Link], Awaitable[None]],
        ended: asyncio.Future[Event],
    ) -> None:
        loop = asyncio.get_running_loop()
        since_s = loop.time()
        try:
            await work(link)
        except LinkClosed as closed:
            if not ended.done():
                ended.set_result(LinkLost(closed.failure, loop.time() - since_s))

    async def _until_other_token(self, ended: asyncio.Future[Event]) -> None:
        while self._token == self._opened_with:
            await self._welcomed.wait()
            self._welcomed.clear()
        if not ended.done():
            ended.set_result(TokenChanged())

    def _frames(self, limit: int) -> list[bytes]:
        """The next ones to send, without those that came to be too old."""
        fresh_s = asyncio.get_running_loop().time() - FRESH_S
        taken = self._waiting.take(limit)
        return [encoded for at_s, encoded in taken if at_s >= fresh_s]
