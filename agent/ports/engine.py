"""The Docker Engine API, as far as we use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from agent.ports.objects import Json

T = TypeVar("T")


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
    forbids: frozenset[str] = frozenset()
    """What a proxy in front of the engine refuses (403) whatever is asked: "containers", "exec", "images"; of each, the
    requests that change something."""


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


@dataclass(frozen=True, slots=True)
class RegistryAuth:
    """Credentials for one pull. Never stored, never logged. `server` is the registry's address, "" for Docker Hub."""

    username: str
    password: str = field(repr=False)
    server: str = ""


class TerminalSink(Protocol):
    """Where a terminal delivers, always on the loop's thread."""

    def data(self, data: bytes) -> None:
        """What the process wrote, as it comes: at most 16 KiB a call."""

    def ended(self, reason: str) -> None:
        """Nothing more comes: "" if the process closed its end, else why. Not called after `Terminal.close`."""


class Terminal(Protocol):
    """A process in a container on a TTY, and both its streams."""

    async def write(self, data: bytes, *, deadline_s: float) -> None:
        """Gives it input; waits while the process takes none. Raises `EngineTimeout`, `EngineUnreachable`."""

    async def resize(self, columns: int, rows: int, *, deadline_s: float) -> None: ...

    def pause(self) -> None:
        """Reads no more for now, so that the process has to wait. What was read may still be delivered."""

    def resume(self) -> None: ...

    async def hang_up(self, *, deadline_s: float) -> int | None:
        """Ends the process in the container (SIGHUP, then SIGKILL), for closing the streams leaves it running.

        Nothing is delivered any more. To be called before `close`, and also if the process has ended: returns its exit
        code, None if that is not known. Raises an `EngineError` if it may still be running: a `Conflict` in a container
        that is paused.
        """

    def close(self) -> None:
        """Drops the streams at once. Idempotent."""


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

    async def pull(
        self,
        image: str,
        *,
        deadline_s: float,
        auth: RegistryAuth | None = None,
        progress: Callable[[Json], None] | None = None,
    ) -> None:
        """Pulls one image by reference. Errors that arrive in-band are raised as `EngineRefused`.

        `progress` is given each object of the pull's stream (`status`, `id`, `progressDetail`), on the loop's thread.
        A pull that nobody awaits any more is given up.
        """

    async def distribution(
        self, image: str, *, deadline_s: float, auth: RegistryAuth | None = None
    ) -> Json:
        """What the registry has under a reference: `{"Descriptor": {"digest"}, "Platforms": […]}`."""

    async def archive(
        self, container: str, path: str, read: Callable[[Iterator[bytes]], T], *, deadline_s: float
    ) -> T:
        """A file or directory of a container, running or not, as a tar stream.

        `read` is called on a thread with the stream as it comes; what it returns or raises is returned or raised here.
        A stream that nobody awaits any more breaks off.
        """

    async def create(self, config: Json, name: str | None, *, deadline_s: float) -> str:
        """`POST /containers/create` with the Engine API's own body; returns the ID (64 characters)."""

    async def stats(self, container: str, *, deadline_s: float) -> Json:
        """One look at the container's counters, without waiting for a second one (`one-shot`, where it is known)."""

    # Images

    async def images(self, *, deadline_s: float) -> list[Json]:
        """`GET /images/json`, without intermediate layers."""

    async def remove_image(self, image: str, *, force: bool, deadline_s: float) -> None:
        """Removes the image and its untagged parents."""

    async def prune_images(self, *, deadline_s: float) -> Json:
        """Removes all that no container uses, tagged ones too: `{"ImagesDeleted": [{"Deleted"}], "SpaceReclaimed"}`."""

    # Networks. `network` is an ID (12 or 64 characters) or a name.

    async def networks(self, *, deadline_s: float) -> list[Json]:
        """`GET /networks`: without the containers in them."""

    async def inspect_network(self, network: str, *, deadline_s: float) -> Json: ...

    async def create_network(self, config: Json, *, deadline_s: float) -> str:
        """`POST /networks/create` with the Engine API's own body; returns the ID. A taken name is a `Conflict`."""

    async def remove_network(self, network: str, *, deadline_s: float) -> None: ...

    async def prune_networks(self, *, deadline_s: float) -> Json:
        """`{"NetworksDeleted": [name] | null}`."""

    async def connect(
        self, network: str, container: str, endpoint: Json, *, deadline_s: float
    ) -> None:
        """Attaches a container; `endpoint` is the Engine API's `EndpointSettings`."""

    async def disconnect(
        self, network: str, container: str, *, force: bool, deadline_s: float
    ) -> None: ...

    # Volumes

    async def volumes(self, *, deadline_s: float) -> list[Json]:
        """The `Volumes` of `GET /volumes`, [] for its null."""

    async def create_volume(self, config: Json, *, deadline_s: float) -> Json:
        """`POST /volumes/create`; one that exists is returned as it is."""

    async def remove_volume(self, name: str, *, force: bool, deadline_s: float) -> None: ...

    async def prune_volumes(self, *, deadline_s: float) -> Json:
        """Removes all that no container uses, named ones too: `{"VolumesDeleted": [name] | null, "SpaceReclaimed"}`."""

    # Terminals

    async def open_terminal(
        self,
        container: str,
        command: Sequence[str],
        env: Mapping[str, str],
        sink: TerminalSink,
        *,
        deadline_s: float,
    ) -> Terminal:
        """Starts `command` in a running container on a TTY, and returns when it is attached.

        The container has to have a `/bin/sh`: without one nobody could end the process.
        """

    async def api_version(self, *, deadline_s: float) -> tuple[int, int]:
        """The version of the API that is spoken with this engine, such as (1, 41)."""

    def read_events(self, filters: Mapping[str, Sequence[str]], sink: EventSink) -> EventReader:
        """Opens the stream with `since=0`: the engine's whole ring first, then live. Never raises: see `ended`."""

    async def close(self) -> None:
        """Gives up connections and threads; calls under way are abandoned to their own deadlines."""
