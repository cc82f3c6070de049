"""The `Engine` port on the `docker` package."""

from __future__ import annotations

import asyncio
import json
import re
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from docker.utils import parse_repository_tag

from agent.adapters.engine.endpoint import Endpoint
from agent.adapters.engine.errors import brief, silent
from agent.adapters.engine.events import Reader
from agent.adapters.engine.logs import LogTail
from agent.adapters.engine.pool import Pool
from agent.adapters.engine.wire import Call, Dialect, Wire
from agent.ports import (
    EngineBusy,
    EngineFacts,
    EngineRefused,
    EngineTimeout,
    EventReader,
    EventSink,
    Json,
    NotFound,
)

T = TypeVar("T")

GRACE_S = 1.0
"""How much longer than its deadline a call is waited for: its thread knows better what went wrong."""

_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_IMAGE = re.compile(r"[A-Za-z0-9\[][\w.:/@\[\]-]*", re.ASCII)

_ON_THE_LAN = ("macvlan", "ipvlan")
"""Networks whose subnet is not the containers' alone: the host has its own address in there."""


class DockerEngine:
    """`agent.ports.Engine` for Docker and for Podman's Docker API. Making one connects to nothing.

    Reads, operations, pulls and logs have threads of their own, so that none can keep another
    waiting. A deadline is kept twice: by the socket of the thread, which bounds each silence of
    the engine, and by whoever awaits, which bounds the whole. A call that is cancelled or out of
    time is never begun if it still waited for a thread, and else abandoned: reads and pulls stop
    at the next piece that comes, an operation that was sent may still happen.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._dialect = Dialect()
        self._reads = Pool("reads", 4, 16, self._wire)
        self._operations = Pool("operations", 4, 16, self._wire)
        self._pulls = Pool("pulls", 2, 0, self._wire)
        self._logs = Pool("log reads", 4, 4, self._wire)
        self._readers: weakref.WeakSet[Reader] = weakref.WeakSet()

    async def facts(self, *, deadline_s: float) -> EngineFacts:
        return await self._on(self._reads, deadline_s, _facts)

    async def containers(self, *, deadline_s: float) -> list[Json]:
        def ask(wire: Wire, call: Call) -> list[Json]:
            return wire.objects(call, "/containers/json", params={"all": "1"})

        return await self._on(self._reads, deadline_s, ask)

    async def inspect_container(self, container: str, *, deadline_s: float) -> Json:
        path = f"{_container(container)}/json"
        return await self._on(self._reads, deadline_s, lambda w, c: w.object(c, path))

    async def inspect_image(self, image: str, *, deadline_s: float) -> Json:
        path = f"{_image(image)}/json"
        return await self._on(self._reads, deadline_s, lambda w, c: w.object(c, path))

    async def start(self, container: str, *, deadline_s: float) -> None:
        await self._order(f"{_container(container)}/start", {}, deadline_s)

    async def stop(self, container: str, *, timeout_s: int, deadline_s: float) -> None:
        await self._order(f"{_container(container)}/stop", {"t": str(timeout_s)}, deadline_s)

    async def restart(self, container: str, *, timeout_s: int, deadline_s: float) -> None:
        await self._order(f"{_container(container)}/restart", {"t": str(timeout_s)}, deadline_s)

    async def kill(self, container: str, *, deadline_s: float) -> None:
        await self._order(f"{_container(container)}/kill", {}, deadline_s)

    async def rename(self, container: str, new_name: str, *, deadline_s: float) -> None:
        await self._order(f"{_container(container)}/rename", {"name": new_name}, deadline_s)

    async def remove(self, container: str, *, force: bool, deadline_s: float) -> None:
        params = {"force": str(int(force)), "v": "0"}
        await self._order(_container(container), params, deadline_s, method="DELETE")

    async def logs(
        self, container: str, *, tail: int, since: str | None, max_bytes: int, deadline_s: float
    ) -> bytes:
        """As the port says. The first byte tells a multiplexed log (0, 1 or 2) from a TTY's (a digit)."""
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "tail": str(tail)}
        if since is not None:
            params["since"] = since
        path = f"{_container(container)}/logs"

        def read(wire: Wire, call: Call) -> bytes:
            kept = LogTail(max_bytes)
            with wire.open(call, "GET", path, params) as response:
                for data in wire.chunks(response, call):
                    kept.feed(data)
            return kept.value()

        return await self._on(self._logs, deadline_s, read)

    async def pull(self, image: str, *, deadline_s: float) -> None:
        # Without a tag the engine would pull every one there is.
        repository, tag = parse_repository_tag(image)
        params = {"fromImage": repository, "tag": tag or "latest"}
        await self._on(self._pulls, deadline_s, lambda wire, call: _pull(wire, call, params))

    async def create(self, config: Json, name: str | None, *, deadline_s: float) -> str:
        params = {} if name is None else {"name": name}

        def create(wire: Wire, call: Call) -> str:
            answer = wire.create(call, "/containers/create", params, config)
            if container_id := _text(answer, "Id"):
                return container_id
            raise wire.nonsense("no ID of the container")

        return await self._on(self._operations, deadline_s, create)

    def read_events(self, filters: Mapping[str, Sequence[str]], sink: EventSink) -> EventReader:
        reader = Reader(self._wire(), filters, sink)
        self._readers.add(reader)
        return reader

    async def close(self) -> None:
        for reader in list(self._readers):
            reader.close()
        for pool in (self._reads, self._operations, self._pulls, self._logs):
            pool.close()

    def _wire(self) -> Wire:
        return Wire(self._endpoint, self._dialect)

    async def _order(
        self, path: str, params: Mapping[str, str], deadline_s: float, *, method: str = "POST"
    ) -> None:
        def order(wire: Wire, call: Call) -> None:
            wire.order(call, path, params, method=method)

        await self._on(self._operations, deadline_s, order)

    async def _on(self, pool: Pool, deadline_s: float, work: Callable[[Wire, Call], T]) -> T:
        call = Call(max(deadline_s, 0.001))  # zero would mean "do not block" to a socket
        future = pool.submit(lambda wire: work(wire, call))
        try:
            async with asyncio.timeout(deadline_s + GRACE_S):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if future.cancel():
                raise EngineBusy(
                    "The engine was too busy with other calls to be asked within "
                    f"{deadline_s:g} s; nothing was sent"
                ) from None
            raise EngineTimeout(silent(self._endpoint, deadline_s)) from None
        finally:
            call.given_up = True
            future.cancel()


def _container(container: str) -> str:
    """The path of a container's resource. What cannot be a name never becomes a part of a path."""
    if not _CONTAINER.fullmatch(container):
        raise NotFound(brief(f"No such container: {container}"), 404)
    return f"/containers/{container}"


def _image(image: str) -> str:
    if not _IMAGE.fullmatch(image) or {"", ".", ".."} & set(image.split("/")):
        raise NotFound(brief(f"No such image: {image}"), 404)
    return f"/images/{image}"


def _facts(wire: Wire, call: Call) -> EngineFacts:
    version = wire.negotiate(call)  # afresh each time: this is asked when an engine is new or back
    info = wire.object(call, "/info")
    try:
        networks = wire.objects(call, "/networks")
    except EngineRefused:  # a proxy in front of the socket may forbid it
        networks = []
    engine_id = _text(info, "ID")
    if not engine_id:
        raise EngineRefused("The engine does not tell its ID, by which the server knows it", 200)
    components = version.get("Components") or []
    return EngineFacts(
        engine_id=engine_id,
        name=_text(info, "Name"),
        version=_text(version, "Version"),
        api_version=_text(version, "ApiVersion"),
        operating_system=_text(info, "OperatingSystem"),
        os_type=_text(info, "OSType"),
        kernel_version=_text(info, "KernelVersion"),
        bridge_created_at=next(
            (_text(each, "Created") for each in networks if each.get("Name") == "bridge"), ""
        ),
        total_memory_bytes=_positive(info, "MemTotal"),
        num_cpus=_positive(info, "NCPU"),
        is_podman=any("podman" in str(component).lower() for component in components),
        subnets=tuple(_subnets(networks)),
    )


def _subnets(networks: list[Json]) -> Iterator[str]:
    for network in networks:
        if network.get("Driver") not in _ON_THE_LAN:
            for config in (network.get("IPAM") or {}).get("Config") or ():
                if subnet := _text(config, "Subnet"):
                    yield subnet


def _text(answer: Json, key: str) -> str:
    value = answer.get(key)
    return value if isinstance(value, str) else ""


def _positive(answer: Json, key: str) -> int | None:
    value = answer.get(key)
    return value if isinstance(value, int) and value > 0 else None


def _pull(wire: Wire, call: Call, params: Mapping[str, str]) -> None:
    with wire.open(call, "POST", "/images/create", params) as response:
        for line in wire.lines(response, call):
            if error := _pull_error(line):
                raise error


def _pull_error(line: bytes) -> EngineRefused | None:
    """The error in one line of a pull's progress: `{"error": TEXT, "errorDetail": {"code", "message"}}`."""
    try:
        step: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(step, dict) or not (step.get("error") or step.get("errorDetail")):
        return None
    detail = step.get("errorDetail")
    detail = detail if isinstance(detail, dict) else {}
    code = detail.get("code")
    text = detail.get("message") or step.get("error") or "The pull failed without a reason"
    return EngineRefused(brief(str(text)), code if isinstance(code, int) else 500)
