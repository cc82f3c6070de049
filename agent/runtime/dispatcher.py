"""The server's requests: each is carried out once and answered once, whatever happens to the link meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError

from agent.core import replies
from agent.core.ledger import Entry, Repeat
from agent.core.messages import (
    Command,
    ContainerOperation,
    HealthCheckMessage,
    Malformed,
    ShellSession,
    Unknown,
    parse,
)
from agent.core.rfc3339 import rfc3339
from agent.ports import (
    Clock,
    CommandFailed,
    EngineError,
    Handler,
    Json,
    LinkClosed,
    Store,
    StoreError,
)
from agent.runtime.region import Scope
from agent.runtime.session import Session
from agent.runtime.uplink import Priority, UplinkFull

MARGIN_S = 2.0
"""A request is given up this long before the server does, so that its reply still arrives."""

MAX_RUNNING = 128
"""The server polls one request at a time and a person clicks a few; this many at once is somebody's loop."""

DRAIN_S = 1.0
"""What running requests get to finish when we stop. Those that change something and do not are in the ledger."""

LEDGER_S = 1.0
"""A disk that is slower than this must not keep the reply, which is what somebody waits for."""

PROBE_S = 30.0
"""Looking at the world takes one or two calls to the engine."""

FULL_S = 0.5
"""When the link is full, this long until the next try: it empties a batch at a time."""

LEFTOVER_WAITS_S = 30.0
"""If the server still waits for a reply that a process before us owed, then not for longer than this."""

REFUSAL_WAITS_S = 30.0
"""The shortest that the server waits for anything."""

UNKNOWN_OUTCOME = "the agent was restarted while carrying this out; the outcome is unknown"
NOT_DONE = "the agent was restarted before carrying this out; it was not done"

log = logging.getLogger("agent.commands")


@dataclass(frozen=True, slots=True)
class _Request:
    id: str
    name: str
    payload: Mapping[str, Any]
    flat: bool
    received_s: float


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Either a payload or an error; `error` "" means success."""

    payload: Any = None
    error: str = ""

    def recorded(self) -> Json:
        return {"error": self.error[:500]} if self.error else {"payload": self.payload}

    @classmethod
    def of(cls, record: Json) -> _Outcome:
        return cls(record.get("payload"), record.get("error", ""))


Detach = Callable[[Coroutine[Any, Any, None], str], None]
Listener = Callable[[Mapping[str, Any]], None]


class Dispatcher:
    """The lifecycle's resource `commands`.

    Requests are carried out by detached jobs: a link that breaks cancels none of them, and the reply goes out over
    whichever session is current while the server still waits for it.

    Args:
        commands: Handlers of `type: "command"`, answered in an envelope.
        operations: Handlers of `type: "container_operation"`, answered flat.
        listeners: Takers of messages that have no reply, by message type.
        detach: Starts a job that belongs to no state.
    """

    def __init__(
        self,
        session: Session,
        store: Store,
        *,
        commands: Iterable[Handler[Any]],
        operations: Iterable[Handler[Any]],
        listeners: Mapping[str, Listener],
        detach: Detach,
        clock: Clock,
    ) -> None:
        self._session, self._store, self._detach, self._clock = session, store, detach, clock
        self._commands = {handler.name: handler for handler in commands}
        self._operations = {handler.name: handler for handler in operations}
        self._listeners = listeners
        self._lanes: dict[str, _Lane] = {}
        self._live: dict[
            str, tuple[str, asyncio.Future[_Outcome]]
        ] = {}  # id -> payload hash, outcome
        self._owed = 0
        self._idle = asyncio.Event()
        self._leftovers_answered = False
        self.last_asked_s = 0.0

    # The resource

    def acquire(self, scope: Scope) -> None:
        self.last_asked_s = asyncio.get_running_loop().time()
        scope.spawn(self._take(), "take")

    async def release(self) -> None:
        if self._owed and self._session.is_live:
            self._idle.clear()
            try:
                async with asyncio.timeout(DRAIN_S):
                    await self._idle.wait()
            except TimeoutError:
                log.info("%d requests are still running", self._owed)

    def abort(self) -> None:
        """Nothing to do: the jobs belong to the runtime."""

    # Taking

    async def _take(self) -> None:
        if not self._leftovers_answered:
            self._leftovers_answered = True
            self._detach(self._answer_leftovers(), "leftovers")
        while True:
            self._receive(await self._session.incoming.get())

    def _receive(self, frame: str | bytes) -> None:
        now_s = asyncio.get_running_loop().time()
        match parse(frame):
            case Command(id=id, command=name, payload=payload):
                if name == "list_containers":
                    self.last_asked_s = now_s
                request = _Request(id, name, payload or {}, False, now_s)
                self._begin(request, self._commands.get(name), f"unknown command: {name}")
            case ContainerOperation(id=id, payload=operation):
                name = operation.action
                request = _Request(id, name, operation.model_dump(), True, now_s)
                self._begin(request, self._operations.get(name), f"unknown action: {name}")
            case (ShellSession() | HealthCheckMessage()) as message:
                self._listen(message.type, message.payload)
            case Malformed(reason, request_id, flat):
                log.warning("the server sent a message that cannot be read: %s", reason)
                if request_id is not None:
                    request = _Request(request_id, "?", {}, flat, now_s)
                    self._refuse(request, f"malformed request: {reason}")
            case Unknown(kind):
                log.debug("a message of type %r is of a newer server and ignored", kind)

    def _listen(self, kind: str, payload: Mapping[str, Any]) -> None:
        if (listener := self._listeners.get(kind)) is not None:
            try:
                listener(payload)
            # A defect in one feature must not cost the connection: the server would say the same over the next one.
            except Exception as error:
                log.error("a message of type %r was lost", kind, exc_info=error)

    def _begin(self, request: _Request, handler: Handler[Any] | None, unknown: str) -> None:
        if handler is None:
            return self._refuse(request, unknown[:200])
        if self._owed >= MAX_RUNNING:
            return self._refuse(
                request, f"{MAX_RUNNING} requests are running already; try again later"
            )
        try:
            payload = handler.payload.model_validate(request.payload)
            waits_s = handler.server_waits_s(payload)
        except ValidationError as invalid:
            return self._refuse(request, f"malformed payload: {_told(invalid)}")
        # A defect in one feature costs its request an error reply, not the agent its connection.
        except Exception as error:
            return self._refuse(request, _defect(request, error))
        return self._owe(partial(self._carry_out, request, handler, payload, waits_s), request.name)

    def _refuse(self, request: _Request, error: str) -> None:
        expires_s = request.received_s + REFUSAL_WAITS_S
        self._owe(partial(self._reply, request, _Outcome(error=error), expires_s), request.name)

    def _owe(self, work: _Work, name: str) -> None:
        """Has `work` done, which sends one reply: until then we owe one."""
        self._owed += 1
        self._detach(self._settle(work), name)

    async def _settle(self, work: _Work) -> None:
        try:
            sent = await work()
        finally:
            self._owed -= 1
            if not self._owed:
                self._idle.set()
        if sent is not None and sent.changed:
            await self._until_confirmed(sent)

    # Carrying out

    async def _carry_out(
        self, request: _Request, handler: Handler[Any], payload: BaseModel, waits_s: float
    ) -> _Sent | None:
        expires_s = request.received_s + waits_s
        outcome = await self._outcome(request, handler, payload, waits_s)
        if outcome.error:
            log.warning("%s failed: %s", request.name, outcome.error)
        return await self._reply(request, outcome, expires_s, changed=handler.repeat is not None)

    async def _outcome(
        self, request: _Request, handler: Handler[Any], payload: BaseModel, waits_s: float
    ) -> _Outcome:
        give_up_s = request.received_s + waits_s - min(MARGIN_S, waits_s / 4)
        try:
            async with asyncio.timeout_at(give_up_s):
                if handler.repeat is None:
                    return await self._run(handler, payload, request)
                return await self._change(handler, payload, request)
        except TimeoutError:
            late = _Outcome(error=f"{request.name} took longer than {waits_s:.0f} s")
        # What a feature says of its lane, say. A defect costs its request an error reply, not the agent its life.
        except Exception as error:
            return _Outcome(error=_defect(request, error))
        if handler.repeat is not None:
            await self._record(request, late)
        return late

    async def _run(self, handler: Handler[Any], payload: BaseModel, request: _Request) -> _Outcome:
        try:
            return _Outcome(await handler.run(payload, request.id))
        except (CommandFailed, EngineError) as error:
            return _Outcome(error=str(error))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return _Outcome(error=_defect(request, error))  # what it waited for was cancelled
        # A defect in one feature costs its request an error reply, not the agent its life.
        except Exception as error:
            return _Outcome(error=_defect(request, error))

    async def _change(
        self, handler: Handler[Any], payload: BaseModel, request: _Request
    ) -> _Outcome:
        """Carries out something that changes the world: once for each id, in order on its lane."""
        digest = _digest(request)
        if (live := self._live.get(request.id)) is not None:
            known, ending = live
            return await asyncio.shield(ending) if known == digest else _REUSED
        with self._shared(request.id, digest) as ending:
            async with self._lane(handler.lane(payload)):
                outcome = await self._once(handler, payload, request, digest)
            ending.set_result(outcome)
        return outcome

    @contextmanager
    def _shared(self, request_id: str, digest: str) -> Iterator[asyncio.Future[_Outcome]]:
        """Whoever asks for the same in this block gets what the future is given."""
        ending: asyncio.Future[_Outcome] = asyncio.get_running_loop().create_future()
        self._live[request_id] = (digest, ending)
        try:
            yield ending
        finally:
            del self._live[request_id]
            if not ending.done():
                ending.set_result(_CUT_SHORT)

    async def _once(
        self, handler: Handler[Any], payload: BaseModel, request: _Request, digest: str
    ) -> _Outcome:
        assert handler.repeat is not None
        subject = (handler.subject or handler.lane)(payload)
        began_at = rfc3339(self._clock())
        entry = Entry(request.id, request.name, subject, digest, handler.repeat, began_at)
        try:
            recorded = await self._store.begin(entry)
        except StoreError as error:
            # Freeing the disk may be the very thing that is asked for, and the server repeats no id by itself.
            log.warning("%s is carried out without a record: %s", request.name, error)
            return await self._run(handler, payload, request)
        if recorded is None:
            return await self._record(request, await self._run(handler, payload, request))
        if recorded.payload_sha256 != digest:
            return _REUSED
        if recorded.outcome is not None:
            return _Outcome.of(recorded.outcome)
        probed = await self._probe(handler, recorded)
        if probed.error == NOT_DONE or recorded.repeat is Repeat.REDO:
            probed = await self._run(handler, payload, request)
        return await self._record(request, probed)

    async def _record(self, request: _Request, outcome: _Outcome) -> _Outcome:
        try:
            async with asyncio.timeout(LEDGER_S):
                try:
                    await self._store.finish(request.id, outcome.recorded())
                except (ValueError, TypeError):  # too large, or no JSON: that it was done is kept
                    await self._store.finish(request.id, {"payload": {}})
        except (StoreError, TimeoutError) as error:
            log.warning(
                "the outcome of %s is not recorded: %s", request.name, str(error) or "no answer"
            )
        return outcome

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

    # What a process before us left undone

    async def _answer_leftovers(self) -> None:
        try:
            entries = await self._store.unfinished()
        except StoreError as error:
            log.warning("what a process before left undone cannot be read: %s", error)
            self._leftovers_answered = False  # the next session tries again
            return
        for entry in entries:
            flat = entry.action in self._operations
            handler = (self._operations if flat else self._commands).get(entry.action)
            if handler is None or entry.command_id in self._live:
                continue
            now_s = asyncio.get_running_loop().time()
            request = _Request(entry.command_id, entry.action, {}, flat, now_s)
            with self._shared(entry.command_id, entry.payload_sha256) as ending:
                outcome = await self._probe(handler, entry)
                await self._record(request, outcome)
                ending.set_result(outcome)
            log.warning(
                "%s was interrupted by the end of the agent: %s",
                entry.action,
                outcome.error or "it had been done",
            )
            expires_s = asyncio.get_running_loop().time() + LEFTOVER_WAITS_S
            await self._reply(request, outcome, expires_s)

    async def _probe(self, handler: Handler[Any], entry: Entry) -> _Outcome:
        if handler.probe is None:
            return _Outcome(error=UNKNOWN_OUTCOME)
        try:
            async with asyncio.timeout(PROBE_S):
                done = await handler.probe(entry)
        except EngineError as error:
            return _Outcome(error=f"{UNKNOWN_OUTCOME} ({error})")
        # A probe that fails of a defect tells as little as none, and others wait behind it.
        except Exception as error:
            log.error("probing %s failed", entry.action, exc_info=error)
            return _Outcome(error=UNKNOWN_OUTCOME)
        if done is not None:
            return _Outcome(done)
        return _Outcome(error=UNKNOWN_OUTCOME if entry.repeat is Repeat.NEVER else NOT_DONE)

    # Answering

    async def _reply(
        self, request: _Request, outcome: _Outcome, expires_s: float, *, changed: bool = False
    ) -> _Sent | None:
        """Sends the reply over whichever session is there; None if there was none until the server waited no more."""
        message = self._encode(request, outcome)
        try:
            async with asyncio.timeout_at(expires_s):
                mark = await self._send(request, message)
        except TimeoutError:
            log.warning("the reply to %s came too late to be sent", request.name)
            return None
        return _Sent(request, message, mark, expires_s, changed)

    async def _until_confirmed(self, sent: _Sent) -> None:
        """Sends it again over the next session for as long as no pong has shown that it arrived."""
        mark = sent.mark
        with suppress(TimeoutError):
            async with asyncio.timeout_at(sent.expires_s):
                while True:
                    try:
                        return await self._session.confirmed(mark)
                    except LinkClosed:
                        mark = await self._send(sent.request, sent.message)

    async def _send(self, request: _Request, message: bytes) -> int:
        while True:
            await self._session.live()
            try:
                return await self._session.send(message, Priority.REPLY)
            except LinkClosed:
                continue  # the server takes it over the next connection as well
            except UplinkFull as full:
                message = self._encode(request, _Outcome(error=f"not sent: {full}"))
                await asyncio.sleep(FULL_S)

    def _encode(self, request: _Request, outcome: _Outcome) -> bytes:
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


@dataclass(slots=True)
class _Lane:
    lock: asyncio.Lock
    users: int = 0


@dataclass(frozen=True, slots=True)
class _Sent:
    """A reply that was written, with its mark for `Session.confirmed`. `changed`: it tells of a change made."""

    request: _Request
    message: bytes
    mark: int
    expires_s: float
    changed: bool


_Work = Callable[[], Coroutine[Any, Any, _Sent | None]]

_REUSED = _Outcome(error="this request id was used for another request")
_CUT_SHORT = _Outcome(error="the same request, sent before, was cut short; its outcome is unknown")


def _defect(request: _Request, error: BaseException) -> str:
    log.error("%s failed unexpectedly", request.name, exc_info=error)
    return f"{request.name} failed in the agent: {type(error).__name__}"


def _digest(request: _Request) -> str:
    canonical = json.dumps([request.name, request.payload], sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _told(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "payload"
    return f"{where}: {first['msg']}"
