"""What the server can ask for, and what a feature may use to do it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from agent.core.ledger import Entry, Repeat
from agent.core.lifecycle import UpdateRequest
from agent.core.machine import ChartMachine, Event
from agent.ports.engine import Engine, EngineFacts
from agent.ports.objects import Json
from agent.ports.server import Channel
from agent.ports.store import Store

Clock = Callable[[], datetime]

Detach = Callable[[Coroutine[Any, Any, None], str], None]
"""Starts a job that belongs to no state, under a name: it outlives sessions, and ends with the agent at the latest."""

Activity = Callable[[Any], Awaitable[Event]]
"""Does one thing, given its briefing, and returns what came of it. Cancelled when its state is left."""


class Scope(Protocol):
    """What one acquisition of a resource may use. Worthless once the resource is released."""

    def post(self, event: Event) -> None:
        """Tells the chart; dropped if this acquisition has been released meanwhile."""

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Starts a task that ends with the resource. What escapes it becomes `Crashed`."""


class Resource(Protocol):
    """Something a state holds. Acquired and released many times, never twice at once."""

    def acquire(self, scope: Scope) -> None:
        """Begins. Must not wait: whatever takes time is spawned."""

    async def release(self) -> None:
        """Ends in good order. Cut short after two seconds, then `abort` is called."""

    def abort(self) -> None:
        """Ends at once, whatever the price."""


class Conduct(Protocol):
    """Runs a chart beside the others, as a job: until its final state, or until the agent ends."""

    def __call__(
        self,
        machine: ChartMachine,
        activities: Mapping[str, Activity],
        *,
        subject: str,
        resources: Mapping[str, Resource] | None = None,
    ) -> asyncio.Future[str]:
        """`subject` tells it from others of its chart. Results in the final state's name, else is cancelled."""


P = TypeVar("P", bound=BaseModel)


class CommandFailed(Exception):
    """A request cannot be carried out, for a reason the user should read. Short, and free of secrets."""


@dataclass(frozen=True, slots=True)
class Handler(Generic[P]):
    """How one `command` or container action is carried out.

    Attributes:
        name: As on the wire.
        payload: What the payload has to look like. Anything else is answered with an error, unseen by `run`.
        run: Given the payload and the request's id, returns the reply's payload: a mapping for container actions,
            and an `agent.core.replies.EncodedJson` for none but commands that change nothing. Raises `CommandFailed`
            or an `EngineError`.
        server_waits_s: How long the server waits for the reply. The handler is cut short a little before.
        repeat: None if it changes nothing. Otherwise it stands in the ledger, and this says what a repetition
            may do with one that a dead process had begun.
        lane: Requests that change something on the same lane are carried out in the order they came.
        subject: What `probe` will have to know, without secrets; the lane unless given.
        probe: Finds out whether a recorded command was done after all: its outcome, or None if it was not.
    """

    name: str
    payload: type[P]
    run: Callable[[P, str], Awaitable[Any]]
    server_waits_s: Callable[[P], float]
    repeat: Repeat | None = None
    lane: Callable[[P], str] = lambda _: ""
    subject: Callable[[P], str] | None = None
    probe: Callable[[Entry], Awaitable[Json | None]] | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """What features work with.

    Attributes:
        news: To be called after `Store.end_job`: there is something to deliver.
        self_update: Begins one and returns the acknowledgement, or raises `CommandFailed`.
    """

    engine: Engine
    store: Store
    channel: Channel
    clock: Clock
    rng: random.Random
    detach: Detach
    conduct: Conduct
    news: Callable[[], None]
    self_update: Callable[[UpdateRequest], Awaitable[Json]]


@dataclass(frozen=True, slots=True)
class Features:
    """Everything that can be asked of one agent, and who wants to know what the engine does.

    Attributes:
        commands: Handlers of `type: "command"`, answered in an envelope.
        operations: Handlers of `type: "container_operation"`, answered flat.
        listeners: Takers of messages that have no reply, by message type.
        resources: What the lifecycle's states hold of ours, by its name in the chart.
        capabilities: As reported at registration, given what is known of the engine.
        notice: Called with each engine event as it arrives.
        engine_came_back: Called when the engine answers after it did not: what was remembered of it may be stale.
        events_were_missed: Called when its events turn out not to have told everything.
        engine_went_away: Called when its events are no longer followed: there will be nothing to notice.
    """

    commands: Sequence[Handler[Any]]
    operations: Sequence[Handler[Any]]
    listeners: Mapping[str, Callable[[Mapping[str, Any]], None]]
    resources: Mapping[str, Resource]
    capabilities: Callable[[EngineFacts | None], Mapping[str, bool]]
    notice: Callable[[Json], None]
    engine_came_back: Callable[[], None]
    events_were_missed: Callable[[], None]
    engine_went_away: Callable[[], None]
