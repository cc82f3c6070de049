"""Brings the journal to the server: in order, at least once, at a pace it can take."""

from __future__ import annotations

import asyncio
import logging

from agent.core import replies
from agent.core.repeats import Repeats
from agent.ports import ChannelFull, Clock, LinkClosed, Priority, Scope, Store, StoreError
from agent.runtime.session import Session

BATCH = 50
PACE_S = 0.5
"""For a full batch, and less for fewer: the server works each event off before it reads our next reply."""

BREATH_S = 0.05
"""Between two batches of whatever size: each is confirmed and noted by itself, which costs as much as its events."""

LOOK_S = 0.1
"""While somebody waits for the journal to be empty."""

RETRY_STORE_S = 5.0

RETRY_FULL_S = 1.0
"""Replies may fill the link, and they go first. Events can wait: they are in the journal."""

log = logging.getLogger("agent.delivery")


class Delivery:
    """The lifecycle's resource `event_stream`. A row is delivered when the pong to a ping sent after it is here."""

    def __init__(self, session: Session, store: Store, *, clock: Clock) -> None:
        self._session, self._store, self._clock = session, store, clock
        self._news = asyncio.Event()
        self._confirmed: list[int] = []  # seqs that the server has and the store was not told of
        self._repeats = Repeats()
        self.delivered = 0

    def journalled(self) -> None:
        """There is something new to deliver."""
        self._news.set()

    async def flush(self, *, within_s: float) -> bool:
        """True once nothing is left to deliver; false: the link or the disk did not take part in time."""
        self._news.set()
        try:
            async with asyncio.timeout(within_s):
                while await self._store.pending(1):
                    await asyncio.sleep(LOOK_S)
        except (TimeoutError, StoreError):
            return False
        return True

    def acquire(self, scope: Scope) -> None:
        self._news.set()
        scope.spawn(self._deliver(), "deliver")

    async def release(self) -> None:
        """What is not confirmed by now stays in the journal and is sent again."""

    def abort(self) -> None: ...

    async def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._mark()
                while rows := await self._store.pending(BATCH):
                    paced_s = loop.time() + max(BREATH_S, PACE_S * len(rows) / BATCH)
                    at = self._clock()
                    sending = [
                        self._session.put(replies.event(row.kind, row.payload, at), Priority.EVENT)
                        for row in rows
                    ]
                    await asyncio.gather(*sending)
                    await self._session.confirm()
                    self._confirmed = [row.seq for row in rows]
                    await self._mark()
                    self.delivered += len(rows)
                    await asyncio.sleep(paced_s - loop.time())
            except LinkClosed:
                return  # the session says so itself; whoever comes next begins with what is pending
            except ChannelFull:
                await asyncio.sleep(RETRY_FULL_S)
                self._news.set()
            except StoreError as error:
                if report := self._repeats.failed("journal", loop.time()):
                    log.error("reading the journal of events %s: %s", report, error)
                await asyncio.sleep(RETRY_STORE_S)
                self._news.set()

    async def _mark(self) -> None:
        """Outlives a failure of the store, and a session: what the server has is not sent again for want of a note."""
        if self._confirmed:
            await self._store.delivered(self._confirmed)
            self._confirmed = []
            self._repeats.recovered("journal", asyncio.get_running_loop().time())
