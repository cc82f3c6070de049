"""Requests that change something: each is carried out once, in order, and a repetition is told what came of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from agent.core.ledger import Entry, Repeat
from agent.core.rfc3339 import rfc3339
from agent.ports import Clock, EngineError, Handler, Store, StoreError
from agent.runtime.requests import Outcome, Request

LEDGER_S = 1.0
"""A disk that is slower than this must not keep the reply, which is what somebody waits for."""

PROBE_S = 30.0
"""Looking at the world takes one or two calls to the engine."""

UNKNOWN_OUTCOME = "the agent was restarted while carrying this out; the outcome is unknown"
NOT_DONE = "the agent was restarted before carrying this out; it was not done"

_REUSED = Outcome(error="this request id was used for another request")
_CUT_SHORT = Outcome(error="the same request, sent before, was cut short; its outcome is unknown")

log = logging.getLogger("agent.commands")

Run = Callable[[], Awaitable[Outcome]]


@dataclass(slots=True)
class _Lane:
    lock: asyncio.Lock
    users: int = 0


class Once:
    """The ledger at work, and the lanes on which changes to one thing wait for each other."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._lanes: dict[str, _Lane] = {}
        self._live: dict[str, tuple[str, asyncio.Future[Outcome]]] = {}  # id -> payload hash, end
        self._recorded: set[str] = set()  # ids whose reply is not known to have arrived

    async def carry_out(
        self, request: Request, handler: Handler[Any], payload: BaseModel, run: Run
    ) -> Outcome:
        """What came of `run`, or of the request of this id that was there before."""
        digest = _digest(request)
        if (live := self._live.get(request.id)) is not None:
            known, ending = live
            return await asyncio.shield(ending) if known == digest else _REUSED
        with self._shared(request.id, digest) as ending:
            async with self._lane(handler.lane(payload)):
                outcome = await self._by_the_ledger(request, handler, payload, run, digest)
            ending.set_result(outcome)
        return outcome

    async def record(self, request: Request, outcome: Outcome) -> Outcome:
        """Puts `outcome` into the ledger, and returns it whether or not that worked."""
        try:
            async with asyncio.timeout(LEDGER_S):
                try:
                    await self._store.finish(request.id, outcome.recorded())
                except (ValueError, TypeError):  # too large, or no JSON: that it was done is kept
                    await self._store.finish(request.id, {"payload": {}})
                self._recorded.add(request.id)
        except (StoreError, TimeoutError) as error:
            why = str(error) or "no answer"
            log.warning("the outcome of %s is not recorded: %s", request.name, why)
        return outcome

    async def answered(self, request_id: str) -> None:
        """The reply has arrived. If that cannot be written down, a later process may send it again."""
        if request_id in self._recorded:
            self._recorded.discard(request_id)
            try:
                async with asyncio.timeout(LEDGER_S):
                    await self._store.answered(request_id)
            except (StoreError, TimeoutError) as error:
                log.debug("that %s was answered is not recorded: %s", request_id, error)

    async def left_unanswered(self) -> list[Entry]:
        """What a process before us began, and perhaps finished, without its reply being known to have arrived.

        Raises:
            StoreError: It cannot be read.
        """
        return await self._store.unanswered()

    def is_live(self, request_id: str) -> bool:
        """Whether somebody repeats it right now, and is told what came of it."""
        return request_id in self._live

    async def find_out(self, request: Request, handler: Handler[Any], entry: Entry) -> Outcome:
        """What came of `entry`, or whether it was done after all; recorded, and told to whoever repeats it now."""
        if entry.outcome is not None:
            self._recorded.add(entry.command_id)
            return Outcome.of(entry.outcome)
        with self._shared(entry.command_id, entry.payload_sha256) as ending:
            outcome = await self.record(request, await _probe(handler, entry))
            ending.set_result(outcome)
        return outcome

    async def _by_the_ledger(
        self,
        request: Request,
        handler: Handler[Any],
        payload: BaseModel,
        run: Run,
        digest: str,
    ) -> Outcome:
        assert handler.repeat is not None
        subject = (handler.subject or handler.lane)(payload)
        began_at = rfc3339(self._clock())
        entry = Entry(request.id, request.name, subject, digest, handler.repeat, began_at)
        try:
            recorded = await self._store.begin(entry)
        except StoreError as error:
            # Freeing the disk may be the very thing that is asked for, and the server repeats no id by itself.
            log.warning("%s is carried out without a record: %s", request.name, error)
            return await run()
        if recorded is None:
            return await self.record(request, await run())
        if recorded.payload_sha256 != digest:
            return _REUSED
        if recorded.outcome is not None:
            return Outcome.of(recorded.outcome)
        probed = await _probe(handler, recorded)
        if probed.error == NOT_DONE or recorded.repeat is Repeat.REDO:
            probed = await run()
        return await self.record(request, probed)

    @contextmanager
    def _shared(self, request_id: str, digest: str) -> Iterator[asyncio.Future[Outcome]]:
        """Whoever asks for the same in this block gets what the future is given."""
        ending: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._live[request_id] = (digest, ending)
        try:
            yield ending
        finally:
            del self._live[request_id]
            if not ending.done():
                ending.set_result(_CUT_SHORT)

    @asynccontextmanager
    async def _lane(self, key: str) -> AsyncIterator[None]:
        lane = self._lanes.setdefault(key, _Lane(asyncio.Lock()))
        lane.users += 1
        try:
            async with lane.lock:
                yield
        finally:
            lane.users -= 1
            if not lane.users:
                del self._lanes[key]


async def _probe(handler: Handler[Any], entry: Entry) -> Outcome:
    if handler.probe is None:
        return Outcome(error=UNKNOWN_OUTCOME)
    try:
        async with asyncio.timeout(PROBE_S):
            done = await handler.probe(entry)
    except EngineError as error:
        return Outcome(error=f"{UNKNOWN_OUTCOME} ({error})")
    # A probe that fails of a defect tells as little as none, and others wait behind it.
    except Exception as error:
        log.error("probing %s failed", entry.action, exc_info=error)
        return Outcome(error=UNKNOWN_OUTCOME)
    if done is not None:
        return Outcome(done)
    return Outcome(error=UNKNOWN_OUTCOME if entry.repeat is Repeat.NEVER else NOT_DONE)


def _digest(request: Request) -> str:
    canonical = json.dumps([request.name, request.payload], sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
