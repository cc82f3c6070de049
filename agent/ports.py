"""What the runtime and the features need from the world. Adapters provide it; tests provide honest small ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from agent.core.failures import Failure
from agent.core.identity import Identity
from agent.core.journal import Known, Row
from agent.core.ledger import Entry, Repeat
from agent.core.lifecycle import UpdateFailed, UpdateRequest, UpdateStaged

Json = dict[str, Any]
"""A JSON object as the Engine API or the server gave it; its shape is checked where it is used."""

# --- The Docker engine


class EngineError(Exception):
    """A call to the engine did not do what was asked. The text is short, free of secrets, and fit for users."""


class EngineUnreachable(EngineError):
    """Nobody answers at the engine's address, or the connection broke: the engine is down or not reachable for us."""


class EngineTimeout(EngineError):
    """The engine took the request and did not answer within the deadline; what it did is unknown."""


class EngineBusy(EngineError):
    """Every slot of the pool for this kind of call is in use: too much is asked at once. Nothing was sent."""


class EngineRefused(EngineError):
    """The engine answered with an error. `status` is its HTTP status code."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class NotFound(EngineRefused):
    """There is no such container or image (404)."""


class Conflict(EngineRefused):
    """The name is taken, or the object's state forbids it (409)."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Who the engine is, from `/info`, `/version` and the network named `bridge`. Empty and None: not told.

    `bridge_created_at` is the engine's own RFC 3339 text; `total_memory_bytes` and `num_cpus` are > 0 or None;
    `subnets` are those of its container networks, in CIDR notation.
    """

    engine_id: str
    name: str = ""
    version: str = ""
    api_version: str = ""
    operating_system: str = ""
    os_type: str = ""
    kernel_version: str = ""
    bridge_created_at: str = ""
    total_memory_bytes: int | None = None
    num_cpus: int | None = None
    is_podman: bool = False
    subnets: tuple[str, ...] = ()


class EventSink(Protocol):
    """Where an event reader delivers, always on the loop's thread."""

    def event(self, event: Json) -> None:
        """One Engine API event as decoded JSON."""

    def ended(self, reason: str) -> None:
        """The stream is over; nothing more comes. Not called after `EventReader.close`."""


class EventReader(Protocol):
    """An open event stream on a thread of its own, which does nothing but read."""

    def close(self) -> None:
        """Ends the thread soon; returns at once. Idempotent."""


class Engine(Protocol):
    """The Docker Engine API, as far as we use it.

    Every call raises one of the `EngineError`s above and has answered, one way or the other, after its deadline.
    Objects are the Engine API's own JSON. `container` is an ID (12 or 64 characters) or a name.
    """

    async def facts(self, *, deadline_s: float) -> EngineFacts: ...

    async def containers(self, *, deadline_s: float) -> list[Json]:
        """`GET /containers/json?all=1`."""

    async def inspect_container(self, container: str, *, deadline_s: float) -> Json: ...

    async def inspect_image(self, image: str, *, deadline_s: float) -> Json: ...

    async def start(self, container: str, *, deadline_s: float) -> None: ...

    async def stop(self, container: str, *, timeout_s: int, deadline_s: float) -> None: ...

    async def restart(self, container: str, *, timeout_s: int, deadline_s: float) -> None: ...

    async def kill(self, container: str, *, deadline_s: float) -> None: ...

    async def rename(self, container: str, new_name: str, *, deadline_s: float) -> None: ...

    async def remove(self, container: str, *, force: bool, deadline_s: float) -> None:
        """Removes the container and keeps its volumes."""

    async def logs(
        self, container: str, *, tail: int, since: str | None, max_bytes: int, deadline_s: float
    ) -> bytes:
        """The raw log with `timestamps=1`, both streams: multiplexed unless the container has a TTY.

        `since` is a Unix time with up to nine decimals, or None. What is over `max_bytes` is lost at the front.
        """

    async def pull(self, image: str, *, deadline_s: float) -> None:
        """Pulls one image by reference. Errors that arrive in-band are raised as `EngineRefused`."""

    async def create(self, config: Json, name: str | None, *, deadline_s: float) -> str:
        """`POST /containers/create` with the Engine API's own body; returns the ID (64 characters)."""

    def read_events(self, filters: Mapping[str, Sequence[str]], sink: EventSink) -> EventReader:
        """Opens the stream with `since=0`: the engine's whole ring first, then live. Never raises: see `ended`."""

    async def close(self) -> None:
        """Gives up connections and threads; calls under way are abandoned to their own deadlines."""


# --- What survives us


class StoreError(Exception):
    """The data directory cannot be used. The text names the path, the cause and the remedy."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction of the journal: rows to append, and what the containers are then known to be.

    `known` maps container IDs (64 characters) to their new net state, None for those that are gone.
    """

    rows: Sequence[Row] = ()
    known: Mapping[str, Known | None] = field(default_factory=dict)


class Store(Protocol):
    """Everything of ours that a restart has to find again. Each call is one durable transaction, done when it returns.

    Raises `StoreError` when the directory has become unusable.
    """

    async def prove_writable(self) -> None:
        """Writes, syncs and removes a file where the token will be: to be called before a single-use token is spent."""

    async def identity(self) -> Identity: ...

    async def save_identity(self, identity: Identity) -> None:
        """Writes the permanent token (its own file, 0600, replaced atomically) and the rest of the identity."""

    # The journal of container events

    async def journal(self, batch: Batch) -> int:
        """Appends what is not there yet (by `Row.key`) and returns how many rows were new."""

    async def known(self) -> dict[str, Known] | None:
        """The containers as last journalled, or None if nothing was ever journalled: there is no cursor yet."""

    async def seen(self) -> frozenset[str]:
        """Keys of the newest 2048 rows."""

    async def pending(self, limit: int) -> list[Row]:
        """The oldest rows that are not delivered, in order."""

    async def delivered(self, seqs: Sequence[int]) -> None: ...

    async def adopt(self) -> int:
        """Counts all pending rows as delivered, for they belong to another host record; returns how many."""

    # The ledger of commands that change something

    async def begin(self, entry: Entry) -> Entry | None:
        """Records `entry` as running and returns None, or returns what is recorded under its id and changes nothing."""

    async def finish(self, command_id: str, outcome: Json) -> None:
        """Records the reply of a command that ran, whether it succeeded or not."""

    async def unfinished(self) -> list[Entry]:
        """Commands that a process before us began and did not finish."""

    async def close(self) -> None: ...


# --- The server


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


class Server(Protocol):
    """Where the server is. One attempt a call: the lifecycle owns retrying."""

    async def dial(self, *, deadline_s: float) -> Link:
        """Opens the WebSocket.

        Raises:
            DialFailed: It could not be opened within `deadline_s`.
        """


# --- What the server can ask for

P = TypeVar("P", bound=BaseModel)


class CommandFailed(Exception):
    """A request cannot be carried out, for a reason the user should read. Short, and free of secrets."""


@dataclass(frozen=True, slots=True)
class Handler(Generic[P]):
    """How one `command` or container action is carried out.

    Attributes:
        name: As on the wire.
        payload: What the payload has to look like. Anything else is answered with an error, unseen by `run`.
        run: Given the payload and the request's id, returns the reply's payload; a mapping for container actions.
            Raises `CommandFailed` or an `EngineError`.
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
class Features:
    """Everything that can be asked of one agent, and who wants to know what the engine does.

    Attributes:
        commands: Handlers of `type: "command"`, answered in an envelope.
        operations: Handlers of `type: "container_operation"`, answered flat.
        listeners: Takers of messages that have no reply, by message type.
        notice: Called with each engine event as it arrives.
        engine_came_back: Called when the engine answers after it did not: what was remembered of it may be stale.
    """

    commands: Sequence[Handler[Any]]
    operations: Sequence[Handler[Any]]
    listeners: Mapping[str, Callable[[Mapping[str, Any]], None]]
    notice: Callable[[Json], None]
    engine_came_back: Callable[[], None]


# --- Ourselves


@dataclass(frozen=True, slots=True)
class HostLook:
    """What the operating system tells about the host. Empty: not told.

    `addresses` are the host's own IP addresses, without those of container networks.
    """

    name: str = ""
    machine: str = ""
    addresses: tuple[str, ...] = ()


class Host(Protocol):
    """The machine we run on, or whose `/proc` we were given."""

    def look(self, *, container_subnets: Sequence[str]) -> HostLook:
        """Reads a few small files. Never raises: what cannot be read is not told."""


class SelfUpdate(Protocol):
    """Replaces the release that runs next."""

    @property
    def available(self) -> bool:
        """Whether it can work on this host at all; reported at registration."""

    async def admit(self, request: UpdateRequest) -> None:
        """Returns if the update can begin.

        Raises:
            CommandFailed: It cannot; the text says why and what to do by hand.
        """

    async def follow(self, request: UpdateRequest) -> UpdateStaged | UpdateFailed:
        """Carries out what was admitted. Cancelled when the link goes: nothing is switched then."""


class Beat(Protocol):
    """The watchdog outside the loop."""

    def pulse(self, states: Mapping[str, str]) -> None:
        """Called every few seconds from the runtime's own loop; `states` maps charts to their states."""


Clock = Callable[[], datetime]
