"""A small Docker engine in memory, behind our own port: it has containers, a ring of events, and bad days."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import itertools
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agent.clock import utcnow
from agent.core.rfc3339 import rfc3339
from agent.ports import (
    Conflict,
    EngineError,
    EngineFacts,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    EventSink,
    Json,
    NotFound,
)

T = TypeVar("T")

RING = 256
NEVER = "0001-01-01T00:00:00Z"
SIGKILLED, SIGTERMED = 137, 143
PAPER = "paper:2.4"
MISSING = "missing"
"""Images that begin so are in no registry."""


@dataclass(slots=True)
class Box:
    """One container. `config` and `host_config` are as an inspection shows them, `log` is (stamp, stream, text)."""

    id: str
    name: str
    image: str = PAPER
    image_id: str = ""
    running: bool = False
    started_at: str = NEVER
    finished_at: str = NEVER
    exit_code: int = 0
    health: str = ""
    config: Json = field(default_factory=dict)
    host_config: Json = field(default_factory=dict)
    log: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def status(self) -> str:
        if self.running:
            return "running"
        return "created" if self.started_at == NEVER else "exited"


class FakeEngine:
    """Behaves as dockerd does as far as the port shows: the same events in the same order, the same errors.

    A change that was asked for is carried out even if nobody waits for it any longer, unless the engine goes down
    before. Restart policies are not acted upon: a test says what happens to its containers.

    Attributes:
        boxes: The containers by ID (64 characters).
        images: The ID that each reference has now.
        digests: What `RepoDigests` an image has, by its ID.
        actions: What was carried out, (action, container name or image) in order: the world's own record.
        calls: How often each method of the port was called.
        delay_s: How long a method takes, by its name; longer than the deadline makes it an `EngineTimeout`.
        failing: What a method raises instead of doing its work, by its name.
    """

    def __init__(self, *, engine_id: str = "TEST:ENGINE", name: str = "engine-of-tests") -> None:
        self.engine_facts = EngineFacts(
            engine_id, name, version="20.10.24", total_memory_bytes=8 << 30, num_cpus=4
        )
        self.boxes: dict[str, Box] = {}
        self.images: dict[str, str] = {}
        self.digests: dict[str, list[str]] = {}
        self.ring: deque[Json] = deque(maxlen=RING)
        self.actions: list[tuple[str, str]] = []
        self.calls: Counter[str] = Counter()
        self.delay_s: dict[str, float] = {}
        self.failing: dict[str, Exception] = {}
        self.is_up = True
        self._readers: list[FakeReader] = []
        self._asked: set[asyncio.Future[Any]] = set()
        self._numbers = itertools.count(1)
        self._instants_ns: set[int] = set()
        self._free_ns: dict[int, int] = {}  # where to look on from, by the clock's instant
        self._new_image(PAPER)

    # What a test does to it

    def add(self, name: str, *, running: bool = False, image: str = PAPER) -> str:
        """A container that has been there all along: no event tells of it. Returns its ID."""
        if image not in self.images:
            self._new_image(image)
        box = self._new_box(name, {"Image": image, "Env": ["TZ=UTC"]})
        box.host_config = {"RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}}
        if running:
            self.starts_unseen(box.id)
        return box.id

    def down(self) -> None:
        """It goes away: streams end, calls fail, those under way too. Containers stay as they are."""
        self.is_up = False
        for reader in list(self._readers):
            reader.end("the engine went away")
        for asked in self._asked:
            asked.set_exception(EngineUnreachable("the connection to the engine of tests broke"))
        self._asked.clear()

    def up(self, *, keep_ring: bool = False) -> None:
        """It is back. A dockerd that was restarted has lost its ring; `keep_ring` is a connection that was cut."""
        if not keep_ring:
            self.ring.clear()
        self.is_up = True

    def dies(self, container: str, *, exit_code: int = 1) -> None:
        """Its process ends by itself."""
        self._ended(self._box(container), exit_code)

    def dies_unseen(self, container: str, *, exit_code: int = 1) -> None:
        """As when the engine is down, or a stream drops events: the state changes and nothing is told."""
        box = self._box(container)
        box.running, box.exit_code, box.finished_at = False, exit_code, rfc3339(utcnow())

    def starts_unseen(self, container: str) -> None:
        box = self._box(container)
        box.running, box.started_at, box.exit_code = True, rfc3339(utcnow()), 0

    def goes_unseen(self, container: str) -> None:
        del self.boxes[self._box(container).id]

    def writes(self, container: str, text: str, *, stream: int = 1) -> None:
        """The container logs one line: stream 1 is stdout, 2 is stderr."""
        self._box(container).log.append((f"{rfc3339(utcnow())[:-1]}000Z", stream, text))

    def emit(self, action: str, box: Box, *, type: str = "container", **attributes: str) -> None:  # noqa: A002  the wire's word
        """Puts one event into the ring and every open stream."""
        labels = box.config.get("Labels") or {}
        told = {**labels, "image": box.image, "name": box.name, **attributes}
        self._tell(type, action, box.id, told)

    # The port

    async def facts(self, *, deadline_s: float) -> EngineFacts:
        return await self._do("facts", deadline_s, lambda: self.engine_facts)

    async def containers(self, *, deadline_s: float) -> list[Json]:
        def look() -> list[Json]:
            return [self._listed(box) for box in reversed(self.boxes.values())]  # newest first

        return await self._do("containers", deadline_s, look)

    async def inspect_container(self, container: str, *, deadline_s: float) -> Json:
        def look() -> Json:
            return self._inspected(self._box(container))

        return await self._do("inspect_container", deadline_s, look)

    async def inspect_image(self, image: str, *, deadline_s: float) -> Json:
        def look() -> Json:
            image_id = self.images.get(image, image)
            if image_id not in self.digests:
                raise NotFound(f"No such image: {image}", 404)
            tags = [tag for tag, tagged in self.images.items() if tagged == image_id]
            return {"Id": image_id, "RepoTags": tags, "RepoDigests": list(self.digests[image_id])}

        return await self._do("inspect_image", deadline_s, look)

    async def start(self, container: str, *, deadline_s: float) -> None:
        def act() -> None:
            box = self._box(container)
            if not box.running:
                self.actions.append(("start", box.name))
                self._started(box)

        await self._do("start", deadline_s, act)

    async def stop(self, container: str, *, timeout_s: int, deadline_s: float) -> None:
        def act() -> None:
            box = self._box(container)
            if box.running:
                self.actions.append(("stop", box.name))
                self._stopped(box)

        await self._do("stop", deadline_s, act)

    async def restart(self, container: str, *, timeout_s: int, deadline_s: float) -> None:
        def act() -> None:
            box = self._box(container)
            self.actions.append(("restart", box.name))
            if box.running:
                self._stopped(box)
            self._started(box)
            self.emit("restart", box)

        await self._do("restart", deadline_s, act)

    async def kill(self, container: str, *, deadline_s: float) -> None:
        def act() -> None:
            box = self._box(container)
            if not box.running:
                raise Conflict(
                    f"Cannot kill container: {container}: Container {box.id} is not running", 409
                )
            self.actions.append(("kill", box.name))
            self._killed(box)

        await self._do("kill", deadline_s, act)

    async def rename(self, container: str, new_name: str, *, deadline_s: float) -> None:
        def act() -> None:
            box = self._box(container)
            if box.name == new_name:
                raise EngineRefused("Renaming a container with the same name as its current", 400)
            self._claim(new_name)
            self.actions.append(("rename", box.name))
            old, box.name = box.name, new_name
            self.emit("rename", box, oldName=f"/{old}")

        await self._do("rename", deadline_s, act)

    async def remove(self, container: str, *, force: bool, deadline_s: float) -> None:
        def act() -> None:
            box = self._box(container)
            if box.running and not force:
                raise Conflict(
                    f"You cannot remove a running container {box.id}. "
                    "Stop the container before attempting removal or force remove",
                    409,
                )
            self.actions.append(("remove", box.name))
            if box.running:
                self._killed(box)
            del self.boxes[box.id]
            self.emit("destroy", box)

        await self._do("remove", deadline_s, act)

    async def logs(
        self, container: str, *, tail: int, since: str | None, max_bytes: int, deadline_s: float
    ) -> bytes:
        def look() -> bytes:
            return self._log(self._box(container), tail, since, max_bytes)

        return await self._do("logs", deadline_s, look)

    async def pull(self, image: str, *, deadline_s: float) -> None:
        def act() -> None:
            if image.startswith(MISSING):
                raise EngineRefused(f"manifest for {image} not found: manifest unknown", 404)
            self.actions.append(("pull", image))
            self._new_image(image)
            self._tell("image", "pull", image, {"name": image.partition(":")[0]})

        await self._do("pull", deadline_s, act)

    async def create(self, config: Json, name: str | None, *, deadline_s: float) -> str:
        def act() -> str:
            image = str(config["Image"])
            if image not in self.images and image not in self.digests:
                raise NotFound(f"No such image: {image}", 404)
            if name is not None:
                self._claim(name)
            own = {key: item for key, item in config.items() if key != "HostConfig"}
            box = self._new_box(name, copy.deepcopy(own))
            box.host_config = copy.deepcopy(config.get("HostConfig") or {})
            self.actions.append(("create", box.name))
            self.emit("create", box)
            return box.id

        return await self._do("create", deadline_s, act)

    def read_events(self, filters: Mapping[str, Sequence[str]], sink: EventSink) -> FakeReader:
        self.calls["read_events"] += 1
        reader = FakeReader(filters, sink, self._forget)
        self._readers.append(reader)
        if self.is_up:
            for event in self.ring:
                reader.feed(event)
        else:
            reader.end("the engine is down")
        return reader

    async def close(self) -> None:
        for reader in list(self._readers):
            reader.close()

    # How it works

    async def _do(self, name: str, deadline_s: float, work: Callable[[], T]) -> T:
        """One request: `work` is done after the delay, whether or not somebody still waits for it."""
        self.calls[name] += 1
        if not self.is_up:
            raise EngineUnreachable("the engine of tests does not answer")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._asked.add(answer)

        def serve() -> None:
            if answer.done() and not answer.cancelled():
                return  # the engine went down with the request
            self._asked.discard(answer)
            try:
                if name in self.failing:
                    raise self.failing[name]
                done = work()
            except EngineError as error:
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(done)

        loop.call_later(self.delay_s.get(name, 0.0), serve)
        try:
            async with asyncio.timeout(deadline_s):
                return await answer
        except TimeoutError:
            raise EngineTimeout(f"the engine did not answer within {deadline_s:g} s") from None

    def _forget(self, reader: FakeReader) -> None:
        if reader in self._readers:
            self._readers.remove(reader)

    def _box(self, container: str) -> Box:
        if container in self.boxes:
            return self.boxes[container]
        for box in self.boxes.values():
            if box.name == container:
                return box
        for box in self.boxes.values():
            if box.id.startswith(container):
                return box
        raise NotFound(f"No such container: {container}", 404)

    def _claim(self, name: str) -> None:
        for box in self.boxes.values():
            if box.name == name:
                raise Conflict(
                    f'Conflict. The container name "/{name}" is already in use by container "{box.id}"',
                    409,
                )

    def _new_box(self, name: str | None, config: Json) -> Box:
        number = next(self._numbers)
        # In the order of creation, and different in the first twelve characters.
        container_id = f"{number:06x}{hashlib.sha256(b'%d' % number).hexdigest()[:58]}"
        image = str(config["Image"])
        box = Box(container_id, name or f"nameless_{container_id[:4]}", image, config=config)
        box.image_id = self.images.get(image, image)
        self.boxes[container_id] = box
        return box

    def _new_image(self, image: str) -> None:
        """A pull always brings something new: the tag moves on."""
        digest = hashlib.sha256(f"image {next(self._numbers)}".encode()).hexdigest()
        self.images[image] = f"sha256:{digest}"
        self.digests[f"sha256:{digest}"] = [f"{image.partition(':')[0]}@sha256:{digest[::-1]}"]

    def _started(self, box: Box) -> None:
        self._tell("network", "connect", "0" * 64, {"container": box.id, "name": "bridge"})
        self.starts_unseen(box.id)
        self.emit("start", box)

    def _stopped(self, box: Box) -> None:
        self.emit("kill", box, signal="15")
        self._ended(box, SIGTERMED)
        self.emit("stop", box)

    def _killed(self, box: Box) -> None:
        self.emit("kill", box, signal="9")
        self._ended(box, SIGKILLED)

    def _ended(self, box: Box, exit_code: int) -> None:
        self.dies_unseen(box.id, exit_code=exit_code)
        self.emit("die", box, exitCode=str(exit_code))
        self._tell("network", "disconnect", "0" * 64, {"container": box.id, "name": "bridge"})

    def _tell(self, type_: str, action: str, actor_id: str, attributes: Mapping[str, str]) -> None:
        if not self.is_up:
            return
        time_ns = self._instant_ns()
        event = {
            "Type": type_,
            "Action": action,
            "Actor": {"ID": actor_id, "Attributes": dict(attributes)},
            "scope": "local",
            "time": time_ns // 10**9,
            "timeNano": time_ns,
        }
        self.ring.append(event)
        for reader in self._readers:
            reader.feed(event)

    def _instant_ns(self) -> int:
        """Now. dockerd's instants do not repeat, so ours must not, even while time is frozen."""
        at = utcnow()
        now_ns = int(at.timestamp()) * 10**9 + at.microsecond * 1000
        time_ns = self._free_ns.get(now_ns, now_ns)
        while time_ns in self._instants_ns:
            time_ns += 1
        self._instants_ns.add(time_ns)
        self._free_ns[now_ns] = time_ns + 1
        return time_ns

    def _listed(self, box: Box) -> Json:
        return {
            "Id": box.id,
            "Names": [f"/{box.name}"],
            "Image": box.image if self.images.get(box.image) == box.image_id else box.image_id,
            "ImageID": box.image_id,
            "Command": "",
            "Created": 1767225600,
            "Ports": [],
            "Labels": dict(box.config.get("Labels") or {}),
            "State": box.status,
            "Status": "Up" if box.running else f"Exited ({box.exit_code})",
            "HostConfig": {"NetworkMode": box.host_config.get("NetworkMode", "default")},
            "NetworkSettings": {"Networks": {}},
            "Mounts": [],
        }

    def _inspected(self, box: Box) -> Json:
        state = {
            "Status": box.status,
            "Running": box.running,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": False,
            "Dead": False,
            "ExitCode": box.exit_code,
            "StartedAt": box.started_at,
            "FinishedAt": box.finished_at,
        }
        if box.health:
            state["Health"] = {"Status": box.health}
        inspected = {
            "Id": box.id,
            "Name": f"/{box.name}",
            "Image": box.image_id,
            "Config": {"Tty": False, "Labels": {}, **box.config},
            "HostConfig": box.host_config,
            "State": state,
            "Mounts": [],
        }
        return copy.deepcopy(inspected)  # as if it had been sent

    def _log(self, box: Box, tail: int, since: str | None, max_bytes: int) -> bytes:
        wanted = [
            line for line in box.log if since is None or _unix_ns(line[0]) >= _since_ns(since)
        ]
        pieces = []
        for stamp, stream, text in wanted[-tail:]:
            line = f"{stamp} {text}".encode()
            if box.config.get("Tty"):
                pieces.append(line + b"\r\n")
            else:
                header = bytes([stream, 0, 0, 0]) + (len(line) + 1).to_bytes(4)
                pieces.append(header + line + b"\n")
        while sum(map(len, pieces)) > max_bytes:
            pieces.pop(0)
        return b"".join(pieces)


def _unix_ns(stamp: str) -> int:
    at = utcnow().fromisoformat(f"{stamp[:26]}+00:00")
    return int(at.timestamp()) * 10**9 + int(stamp[20:29])


def _since_ns(since: str) -> int:
    whole, _, fraction = since.partition(".")
    return int(whole) * 10**9 + int(f"{fraction:0<9}")


class FakeReader:
    """One open stream, delivering on the loop a moment later, as a thread would."""

    def __init__(
        self,
        filters: Mapping[str, Sequence[str]],
        sink: EventSink,
        forget: Callable[[FakeReader], None],
    ) -> None:
        if unknown := filters.keys() - {"type", "event", "container"}:
            raise NotImplementedError(f"filters this engine does not know: {unknown}")
        self._filters, self._sink, self._forget = filters, sink, forget
        self._open = True

    def feed(self, event: Json) -> None:
        """Delivers `event` if every filter lets it through."""
        actor = event["Actor"]
        told = {
            "type": {event["Type"]},
            # The engine matches what comes before the colon as well: `exec_start: COMMAND`.
            "event": {event["Action"], event["Action"].partition(":")[0]},
            "container": {actor["ID"], actor["Attributes"].get("name")},
        }
        if all(told[key] & set(wanted) for key, wanted in self._filters.items()):
            self._soon(self._sink.event, event)

    def end(self, reason: str) -> None:
        self._soon(self._finish, reason)
        self._forget(self)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._forget(self)

    def _finish(self, reason: str) -> None:
        self._open = False
        self._sink.ended(reason)

    def _soon(self, deliver: Callable[[Any], None], what: object) -> None:
        def now() -> None:
            if self._open:
                deliver(what)

        asyncio.get_running_loop().call_soon(now)
