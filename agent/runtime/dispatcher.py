"""The server's requests: each is carried out and answered once, whatever happens to the link meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError

from agent.core.faults import first_fault
from agent.core.messages import (
    Command,
    ContainerOperation,
    HealthCheckMessage,
    Malformed,
    ShellSession,
    Unknown,
    parse,
)
from agent.ports import Clock, CommandFailed, EngineError, Handler, Scope, Store, StoreError
from agent.runtime.answers import Answers, Sent
from agent.runtime.once import Once
from agent.runtime.requests import Outcome, Request
from agent.runtime.session import Session

MARGIN_S = 2.0
"""A request is given up this long before the server does, so that its reply still arrives."""

MAX_RUNNING = 128
"""The server polls one request at a time and a person clicks a few; this many at once is somebody's loop."""

DRAIN_S = 1.0
"""What running requests get to finish when we stop. Those that change something and do not are in the ledger."""

LEFTOVER_WAITS_S = 30.0
"""If the server still waits for a reply that a process before us owed, then not for longer than this."""

BUSY = (
    "busy: the agent is about to be replaced by another release of it; try again in a few seconds"
)

REFUSAL_WAITS_S = 30.0
"""The shortest that the server waits for anything."""

log = logging.getLogger("agent.commands")

Detach = Callable[[Coroutine[Any, Any, None], str], None]
Listener = Callable[[Mapping[str, Any]], None]

_Work = Callable[[], Coroutine[Any, Any, Sent | None]]


class Dispatcher:
    """The lifecycle's resource `commands`.

    Requests are carried out by detached jobs: a link that breaks cancels none of them, and the reply goes out over
    whichever session is current while the server still waits for it.

    Args:
        commands: Handlers of `type: "command"`, answered in an envelope.
        operations: Handlers of `type: "container_operation"`, answered flat.
        listeners: Takers of messages that have no reply, by message type.
        detach: Starts a job that belongs to no state.
        answered: Told the id of each request that changes something, once its reply is known to have arrived.
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
        answered: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._session, self._detach, self._answered = session, detach, answered
        self._once = Once(store, clock=clock)
        self._answers = Answers(session, clock=clock)
        self._commands = {handler.name: handler for handler in commands}
        self._operations = {handler.name: handler for handler in operations}
        self._listeners = listeners
        self._owed = 0
        self._idle = asyncio.Event()
        self._changes = 0  # of the owed ones, those that change something
        self._unchanging = asyncio.Event()
        self._unchanging.set()
        self._draining = False
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

    # The end of a release

    async def drain(self, *, within_s: float) -> bool:
        """Refuses what would change something from now on; true once nothing of that kind is under way any more."""
        self._draining = True
        try:
            async with asyncio.timeout(within_s):
                await self._unchanging.wait()
        except TimeoutError:
            return False
        return True

    def resume(self) -> None:
        self._draining = False

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
                request = Request(id, name, payload or {}, False, now_s)
                self._begin(request, self._commands.get(name), f"unknown command: {name}")
            case ContainerOperation(id=id, payload=operation):
                name = operation.action
                request = Request(id, name, operation.model_dump(), True, now_s)
                self._begin(request, self._operations.get(name), f"unknown action: {name}")
            case (ShellSession() | HealthCheckMessage()) as message:
                self._listen(message.type, message.payload)
            case Malformed(reason, request_id, flat):
                log.warning("the server sent a message that cannot be read: %s", reason)
                if request_id is not None:
                    request = Request(request_id, "?", {}, flat, now_s)
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

    def _begin(self, request: Request, handler: Handler[Any] | None, unknown: str) -> None:
        if handler is None:
            return self._refuse(request, unknown[:200])
        if self._owed >= MAX_RUNNING:
            return self._refuse(
                request, f"{MAX_RUNNING} requests are running already; try again later"
            )
        if self._draining and handler.repeat is not None:
            return self._refuse(request, BUSY)
        try:
            payload = handler.payload.model_validate(request.payload)
            waits_s = handler.server_waits_s(payload)
        except ValidationError as invalid:
            return self._refuse(request, f"malformed payload: {first_fault(invalid, 'payload')}")
        # A defect in one feature costs its request an error reply, not the agent its connection.
        except Exception as error:
            return self._refuse(request, _defect(request, error))
        return self._owe(partial(self._carry_out, request, handler, payload, waits_s), request.name)

    def _refuse(self, request: Request, error: str) -> None:
        async def refuse() -> None:
            expires_s = request.received_s + REFUSAL_WAITS_S
            await self._answers.send(request, Outcome(error=error), expires_s)

        self._owe(refuse, request.name)

    def _owe(self, work: _Work, name: str) -> None:
        """Has `work` done, which sends one reply and returns it if it has to be confirmed: until then we owe one."""
        self._owed += 1
        self._detach(self._settle(work), name)

    async def _settle(self, work: _Work) -> None:
        try:
            to_confirm = await work()
        finally:
            self._owed -= 1
            if not self._owed:
                self._idle.set()
        if to_confirm is not None:
            await self._confirm(to_confirm)

    async def _confirm(self, sent: Sent) -> None:
        if await self._answers.until_confirmed(sent):
            self._answered(sent.request.id)
            await self._once.answered(sent.request.id)

    # Carrying out

    async def _carry_out(
        self, request: Request, handler: Handler[Any], payload: BaseModel, waits_s: float
    ) -> Sent | None:
        with self._changing(handler):
            outcome = await self._outcome(request, handler, payload, waits_s)
        if outcome.error:
            log.warning("%s failed: %s", request.name, outcome.error)
        sent = await self._answers.send(request, outcome, request.received_s + waits_s)
        if handler.repeat is not None:
            return sent
        return sent if sent is not None and self._answers.has_room(sent) else None

    @contextmanager
    def _changing(self, handler: Handler[Any]) -> Iterator[None]:
        if handler.repeat is None:
            yield
            return
        self._changes += 1
        self._unchanging.clear()
        try:
            yield
        finally:
            self._changes -= 1
            if not self._changes:
                self._unchanging.set()

    async def _outcome(
        self, request: Request, handler: Handler[Any], payload: BaseModel, waits_s: float
    ) -> Outcome:
        give_up_s = request.received_s + waits_s - min(MARGIN_S, waits_s / 4)
        run = partial(_run, handler, payload, request)
        try:
            async with asyncio.timeout_at(give_up_s):
                if handler.repeat is None:
                    return await run()
                return await self._once.carry_out(request, handler, payload, run)
        except TimeoutError:
            late = Outcome(error=f"{request.name} took longer than {waits_s:.0f} s")
        # What a feature says of its lane, say. A defect costs its request an error reply, not the agent its life.
        except Exception as error:
            return Outcome(error=_defect(request, error))
        return late if handler.repeat is None else await self._once.record(request, late)

    async def _answer_leftovers(self) -> None:
        """Answers what a process before us left unanswered, and finds out about what it left undone."""
        try:
            entries = await self._once.left_unanswered()
        except StoreError as error:
            log.warning("what a process before left unanswered cannot be read: %s", error)
            self._leftovers_answered = False  # the next session tries again
            return
        loop = asyncio.get_running_loop()
        for entry in entries:
            flat = (
                entry.action not in self._commands
            )  # where both have the name, the server asks for the command
            handler = (self._operations if flat else self._commands).get(entry.action)
            if handler is None or self._once.is_live(entry.command_id):
                continue
            request = Request(entry.command_id, entry.action, {}, flat, loop.time())
            outcome = await self._once.find_out(request, handler, entry)
            if entry.outcome is None:
                log.warning(
                    "%s was interrupted by the end of the agent: %s",
                    entry.action,
                    outcome.error or "it had been done",
                )
            sent = await self._answers.send(request, outcome, loop.time() + LEFTOVER_WAITS_S)
            if sent is not None:
                self._detach(self._confirm(sent), f"reply to {entry.action}")


async def _run(handler: Handler[Any], payload: BaseModel, request: Request) -> Outcome:
    try:
        return Outcome(await handler.run(payload, request.id))
    except (CommandFailed, EngineError) as error:
        return Outcome(error=str(error))
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return Outcome(error=_defect(request, error))  # what it waited for was cancelled
    # A defect in one feature costs its request an error reply, not the agent its life.
    except Exception as error:
        return Outcome(error=_defect(request, error))


def _defect(request: Request, error: BaseException) -> str:
    log.error("%s failed unexpectedly", request.name, exc_info=error)
    return f"{request.name} failed in the agent: {type(error).__name__}"
