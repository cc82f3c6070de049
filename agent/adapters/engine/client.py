"""The `Engine` port on the `docker` package."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from agent.adapters.engine import prunes
from agent.adapters.engine.endpoint import Endpoint
from agent.adapters.engine.errors import silent
from agent.adapters.engine.events import Reader
from agent.adapters.engine.execs import Execs
from agent.adapters.engine.facts import facts
from agent.adapters.engine.hijack import Hijacked
from agent.adapters.engine.logs import LogTail
from agent.adapters.engine.paths import (
    container_path,
    distribution_path,
    image_path,
    network_path,
    volume_path,
)
from agent.adapters.engine.pool import Pool
from agent.adapters.engine.progress import ProgressFeed
from agent.adapters.engine.pulls import login_headers, pull
from agent.adapters.engine.terminal import open_terminal
from agent.adapters.engine.wire import Call, Dialect, Wire, version_parts
from agent.ports import (
    EngineBusy,
    EngineFacts,
    EngineTimeout,
    EventReader,
    EventSink,
    Json,
    RegistryAuth,
    Terminal,
    TerminalSink,
)

T = TypeVar("T")

GRACE_S = 1.0
"""How much longer than its deadline a call is waited for: its thread knows better what went wrong."""


class DockerEngine:
    """`agent.ports.Engine` for Docker and for Podman's Docker API. Making one connects to nothing.

    Reads, operations, pulls, logs and counters have threads of their own, so that none can keep
    another waiting. A deadline is kept twice: by the socket of the thread, which bounds each
    silence of the engine, and by whoever awaits, which bounds the whole. A call that is cancelled
    or out of time is never begun if it still waited for a thread, and else abandoned: what is
    being read is broken off, so that the engine ends a pull; an operation that was sent may still
    happen.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._dialect = Dialect()
        self._reads = Pool("reads", 4, 16, self._wire)
        self._operations = Pool("operations", 4, 16, self._wire)
        self._pulls = Pool("pulls", 2, 0, self._wire)
        self._logs = Pool("log reads", 4, 4, self._wire)
        self._stats = Pool("looks at counters", 4, 16, self._wire)
        self._readers: weakref.WeakSet[Reader] = weakref.WeakSet()
        self._connections: weakref.WeakSet[Hijacked] = weakref.WeakSet()

    async def facts(self, *, deadline_s: float) -> EngineFacts:
        return await self._on(self._reads, deadline_s, facts)

    async def containers(self, *, deadline_s: float) -> list[Json]:
        def ask(wire: Wire, call: Call) -> list[Json]:
            return wire.objects(call, "/containers/json", params={"all": "1"})

        return await self._on(self._reads, deadline_s, ask)

    async def inspect_container(self, container: str, *, deadline_s: float) -> Json:
        path = f"{container_path(container)}/json"
        return await self._on(self._reads, deadline_s, lambda w, c: w.object(c, path))

    async def start(self, container: str, *, deadline_s: float) -> None:
        await self._order(f"{container_path(container)}/start", {}, deadline_s)

    async def stop(self, container: str, *, timeout_s: int, deadline_s: float) -> None:
        await self._order(f"{container_path(container)}/stop", {"t": str(timeout_s)}, deadline_s)

    async def restart(self, container: str, *, timeout_s: int, deadline_s: float) -> None:
        await self._order(f"{container_path(container)}/restart", {"t": str(timeout_s)}, deadline_s)

    async def kill(self, container: str, *, deadline_s: float) -> None:
        await self._order(f"{container_path(container)}/kill", {}, deadline_s)

    async def rename(self, container: str, new_name: str, *, deadline_s: float) -> None:
        await self._order(f"{container_path(container)}/rename", {"name": new_name}, deadline_s)

    async def remove(self, container: str, *, force: bool, deadline_s: float) -> None:
        params = {"force": str(int(force)), "v": "0"}
        await self._order(container_path(container), params, deadline_s, method="DELETE")

    async def logs(
        self, container: str, *, tail: int, since: str | None, max_bytes: int, deadline_s: float
    ) -> bytes:
        """As the port says. The first byte tells a multiplexed log (0, 1 or 2) from a TTY's (a digit)."""
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "tail": str(tail)}
        if since is not None:
            params["since"] = since
        path = f"{container_path(container)}/logs"

        def read(wire: Wire, call: Call) -> bytes:
            kept = LogTail(max_bytes)
            with wire.open(call, "GET", path, params) as response:
                for data in wire.chunks(response, call):
                    kept.feed(data)
            return kept.value()

        return await self._on(self._logs, deadline_s, read)

    async def stats(self, container: str, *, deadline_s: float) -> Json:
        path = f"{container_path(container)}/stats"
        # An engine that does not know `one-shot` (API 1.40) ignores it and takes a second or two.
        params = {"stream": "false", "one-shot": "true"}
        return await self._on(
            self._stats, deadline_s, lambda w, c: w.object(c, path, params=params)
        )

    async def create(self, config: Json, name: str | None, *, deadline_s: float) -> str:
        params = {} if name is None else {"name": name}

        def create(wire: Wire, call: Call) -> str:
            return wire.made(call, "/containers/create", params, config, "container")

        return await self._on(self._operations, deadline_s, create)

    async def pull(
        self,
        image: str,
        *,
        deadline_s: float,
        auth: RegistryAuth | None = None,
        progress: Callable[[Json], None] | None = None,
    ) -> None:
        feed = ProgressFeed(progress or (lambda _: None))
        try:
            await self._on(
                self._pulls,
                deadline_s,
                lambda wire, call: pull(wire, call, image, auth, feed.feed),
            )
            feed.flush()
        finally:
            feed.close()

    async def distribution(
        self, image: str, *, deadline_s: float, auth: RegistryAuth | None = None
    ) -> Json:
        path, headers = distribution_path(image), login_headers(auth)
        return await self._on(
            self._pulls, deadline_s, lambda w, c: w.object(c, path, headers=headers)
        )

    async def archive(
        self, container: str, path: str, read: Callable[[Iterator[bytes]], T], *, deadline_s: float
    ) -> T:
        within = f"{container_path(container)}/archive"

        def copy(wire: Wire, call: Call) -> T:
            with wire.open(call, "GET", within, {"path": path}) as response:
                return read(wire.chunks(response, call))

        return await self._on(self._pulls, deadline_s, copy)

    async def inspect_image(self, image: str, *, deadline_s: float) -> Json:
        path = f"{image_path(image)}/json"
        return await self._on(self._reads, deadline_s, lambda w, c: w.object(c, path))

    async def images(self, *, deadline_s: float) -> list[Json]:
        return await self._on(self._reads, deadline_s, lambda w, c: w.objects(c, "/images/json"))

    async def remove_image(self, image: str, *, force: bool, deadline_s: float) -> None:
        params = {"force": str(int(force))}
        await self._order(image_path(image), params, deadline_s, method="DELETE")

    async def prune_images(self, *, deadline_s: float) -> Json:
        return await self._on(self._operations, deadline_s, prunes.images)

    async def networks(self, *, deadline_s: float) -> list[Json]:
        return await self._on(self._reads, deadline_s, lambda w, c: w.objects(c, "/networks"))

    async def inspect_network(self, network: str, *, deadline_s: float) -> Json:
        path = network_path(network)
        return await self._on(self._reads, deadline_s, lambda w, c: w.object(c, path))

    async def create_network(self, config: Json, *, deadline_s: float) -> str:
        # Without it engines of API < 1.44 would make a second network of the same name.
        body = {**config, "CheckDuplicate": True}

        def create(wire: Wire, call: Call) -> str:
            return wire.made(call, "/networks/create", {}, body, "network")

        return await self._on(self._operations, deadline_s, create)

    async def remove_network(self, network: str, *, deadline_s: float) -> None:
        await self._order(network_path(network), {}, deadline_s, method="DELETE")

    async def prune_networks(self, *, deadline_s: float) -> Json:
        return await self._on(self._operations, deadline_s, prunes.networks)

    async def connect(
        self, network: str, container: str, endpoint: Json, *, deadline_s: float
    ) -> None:
        body = {"Container": container, "EndpointConfig": endpoint}
        await self._order(f"{network_path(network)}/connect", {}, deadline_s, body)

    async def disconnect(
        self, network: str, container: str, *, force: bool, deadline_s: float
    ) -> None:
        body = {"Container": container, "Force": force}
        await self._order(f"{network_path(network)}/disconnect", {}, deadline_s, body)

    async def volumes(self, *, deadline_s: float) -> list[Json]:
        def ask(wire: Wire, call: Call) -> list[Json]:
            return wire.checked(wire.object(call, "/volumes").get("Volumes") or [])

        return await self._on(self._reads, deadline_s, ask)

    async def create_volume(self, config: Json, *, deadline_s: float) -> Json:
        return await self._on(
            self._operations,
            deadline_s,
            lambda w, c: w.post(c, "/volumes/create", body=config),
        )

    async def remove_volume(self, name: str, *, force: bool, deadline_s: float) -> None:
        params = {"force": str(int(force))}
        await self._order(volume_path(name), params, deadline_s, method="DELETE")

    async def prune_volumes(self, *, deadline_s: float) -> Json:
        return await self._on(self._operations, deadline_s, prunes.volumes)

    async def api_version(self, *, deadline_s: float) -> tuple[int, int]:
        version = await self._on(self._reads, deadline_s, lambda w, c: w.version(c))
        major, minor, *_ = version_parts(version)
        return major, minor

    async def open_terminal(
        self,
        container: str,
        command: Sequence[str],
        env: Mapping[str, str],
        sink: TerminalSink,
        *,
        deadline_s: float,
    ) -> Terminal:
        execs = Execs(self._on, self._reads, self._operations)
        terminal = await open_terminal(
            self._endpoint, execs, container, command, env, sink, deadline_s=deadline_s
        )
        self._connections.add(terminal.connection)
        return terminal

    def read_events(self, filters: Mapping[str, Sequence[str]], sink: EventSink) -> EventReader:
        reader = Reader(self._wire(), filters, sink)
        self._readers.add(reader)
        return reader

    async def close(self) -> None:
        for reader in list(self._readers):
            reader.close()
        for connection in list(self._connections):
            connection.close()
        for pool in (self._reads, self._operations, self._pulls, self._logs, self._stats):
            pool.close()

    def _wire(self) -> Wire:
        return Wire(self._endpoint, self._dialect)

    async def _order(
        self,
        path: str,
        params: Mapping[str, str],
        deadline_s: float,
        body: Json | None = None,
        *,
        method: str = "POST",
    ) -> None:
        def order(wire: Wire, call: Call) -> None:
            wire.order(call, path, params, body, method=method)

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
            call.give_up()
            future.cancel()
