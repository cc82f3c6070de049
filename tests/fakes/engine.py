"""A small Docker engine in memory, behind our own port: it has containers, a ring of events, and bad days."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from fakes.box import NEVER, Box
from fakes.container_store import SIGKILLED, SIGTERMED
from fakes.engine_world import PAPER, EngineWorld
from fakes.event_ring import RING, FakeReader
from fakes.fake_log import raw_log
from fakes.image_store import MISSING, Recipe
from fakes.tar import tar_of
from fakes.terminal import FakeTerminal
from fakes.usage import Usage

from agent.ports import Conflict, EngineFacts, EventSink, Json, RegistryAuth, TerminalSink

T = TypeVar("T")

__all__ = [
    "MISSING",
    "NEVER",
    "PAPER",
    "RING",
    "SIGKILLED",
    "SIGTERMED",
    "Box",
    "FakeEngine",
    "FakeReader",
    "Recipe",
    "Usage",
]


class FakeEngine(EngineWorld):
    """`agent.ports.Engine`. Behaves as dockerd does as far as the port shows: the same events in the same order, the
    same errors, and a pull that ends with whoever awaits it. Its bases say what a test can do to it.
    """

    # Containers

    async def facts(self, *, deadline_s: float) -> EngineFacts:
        return await self._do("facts", deadline_s, lambda: self.engine_facts)

    async def api_version(self, *, deadline_s: float) -> tuple[int, int]:
        return await self._do("api_version", deadline_s, lambda: self.api)

    async def containers(self, *, deadline_s: float) -> list[Json]:
        def look() -> list[Json]:
            newest_first = reversed(self.boxes.values())
            return [box.listed(self._image_name(box)) for box in newest_first]

        return await self._do("containers", deadline_s, look)

    async def inspect_container(self, container: str, *, deadline_s: float) -> Json:
        return await self._do(
            "inspect_container", deadline_s, lambda: self._box(container).inspected()
        )

    async def start(self, container: str, *, deadline_s: float) -> None:
        def act() -> None:
            box = self._box(container)
            if not box.running:
                self.actions.append(("start", box.name))
                self.container_store.start(box)

        await self._do("start", deadline_s, act)

    async def stop(self, container: str, *, timeout_s: int, deadline_s: float) -> None:
        def act() -> None:
            box = self._box(container)
            if box.running:
                self.actions.append(("stop", box.name))
                self.container_store.stop(box)

        await self._do("stop", deadline_s, act)

    async def restart(self, container: str, *, timeout_s: int, deadline_s: float) -> None:
        def act() -> None:
            box = self._box(container)
            self.actions.append(("restart", box.name))
            self.container_store.restart(box)

        await self._do("restart", deadline_s, act)

    async def kill(self, container: str, *, deadline_s: float) -> None:
        def act() -> None:
            box = self._box(container)
            if not box.running:
                raise Conflict(
                    f"Cannot kill container: {container}: Container {box.id} is not running", 409
                )
            self.actions.append(("kill", box.name))
            self.container_store.kill(box)

        await self._do("kill", deadline_s, act)

    async def rename(self, container: str, new_name: str, *, deadline_s: float) -> None:
        def act() -> None:
            box = self._box(container)
            old = box.name
            self.container_store.rename(box, new_name)
            self.actions.append(("rename", old))

        await self._do("rename", deadline_s, act)

    async def remove(self, container: str, *, force: bool, deadline_s: float) -> None:
        def act() -> None:
            box = self._box(container)
            self.container_store.remove(box, force=force)
            self.actions.append(("remove", box.name))

        await self._do("remove", deadline_s, act)

    async def create(self, config: Json, name: str | None, *, deadline_s: float) -> str:
        def act() -> str:
            box = self.container_store.create(config, name)
            self.actions.append(("create", box.name))
            self.container_store.emit("create", box)
            return box.id

        return await self._do("create", deadline_s, act)

    async def logs(
        self, container: str, *, tail: int, since: str | None, max_bytes: int, deadline_s: float
    ) -> bytes:
        def look() -> bytes:
            return raw_log(self._box(container), tail, since, max_bytes)

        return await self._do("logs", deadline_s, look)

    async def stats(self, container: str, *, deadline_s: float) -> Json:
        def look() -> Json:
            box = self._box(container)
            return self.usage.get(box.id, Usage()).stats(box)

        return await self._do("stats", deadline_s, look)

    # Images

    async def pull(
        self,
        image: str,
        *,
        deadline_s: float,
        auth: RegistryAuth | None = None,
        progress: Callable[[Json], None] | None = None,
    ) -> None:
        report = progress or (lambda _: None)
        steps = self.image_store.pull_steps(image)

        def step() -> None:
            if (reached := next(steps, None)) is not None:
                report(reached)

        def act() -> None:
            for each in steps:
                report(each)
            self.actions.append(("pull", image))
            self.image_store.pulled(image)

        if auth:
            self.image_store.logins.append((image, auth.username))
        with self._spread(image, self.delay_s.get("pull", 0.0), step):
            await self._do("pull", deadline_s, act, ends_with_caller=True)

    async def distribution(
        self, image: str, *, deadline_s: float, auth: RegistryAuth | None = None
    ) -> Json:
        if auth:
            self.image_store.logins.append((image, auth.username))
        return await self._do(
            "distribution", deadline_s, lambda: self.image_store.distribution(image)
        )

    async def archive(
        self, container: str, path: str, read: Callable[[Iterator[bytes]], T], *, deadline_s: float
    ) -> T:
        def act() -> list[bytes]:
            return tar_of(path, self.image_store.recipe(self._box(container).image_id).files)

        return read(iter(await self._do("archive", deadline_s, act)))

    async def inspect_image(self, image: str, *, deadline_s: float) -> Json:
        return await self._do(
            "inspect_image", deadline_s, lambda: self.image_store.inspected(image)
        )

    async def images(self, *, deadline_s: float) -> list[Json]:
        return await self._do("images", deadline_s, self.image_store.listed)

    async def remove_image(self, image: str, *, force: bool, deadline_s: float) -> None:
        def act() -> None:
            self.image_store.remove(image, force=force)
            self.actions.append(("remove_image", image))

        await self._do("remove_image", deadline_s, act)

    async def prune_images(self, *, deadline_s: float) -> Json:
        return await self._do("prune_images", deadline_s, self.image_store.prune)

    # Networks

    async def networks(self, *, deadline_s: float) -> list[Json]:
        return await self._do("networks", deadline_s, self.network_store.listed)

    async def inspect_network(self, network: str, *, deadline_s: float) -> Json:
        return await self._do(
            "inspect_network", deadline_s, lambda: self.network_store.inspected(network)
        )

    async def create_network(self, config: Json, *, deadline_s: float) -> str:
        def act() -> str:
            network_id = self.network_store.create(config)
            self.actions.append(("create_network", config["Name"]))
            return network_id

        return await self._do("create_network", deadline_s, act)

    async def remove_network(self, network: str, *, deadline_s: float) -> None:
        def act() -> None:
            name = self.network_store.find(network).name
            self.network_store.remove(network)
            self.actions.append(("remove_network", name))

        await self._do("remove_network", deadline_s, act)

    async def prune_networks(self, *, deadline_s: float) -> Json:
        return await self._do("prune_networks", deadline_s, self.network_store.prune)

    async def connect(
        self, network: str, container: str, endpoint: Json, *, deadline_s: float
    ) -> None:
        def act() -> None:
            box = self._box(container)
            name = self.network_store.connect(network, box, endpoint)
            self.actions.append(("connect", f"{name}/{box.name}"))

        await self._do("connect", deadline_s, act)

    async def disconnect(
        self, network: str, container: str, *, force: bool, deadline_s: float
    ) -> None:
        def act() -> None:
            box = self._box(container)
            name = self.network_store.disconnect(network, box, force=force)
            self.actions.append(("disconnect", f"{name}/{box.name}"))

        await self._do("disconnect", deadline_s, act)

    # Volumes

    async def volumes(self, *, deadline_s: float) -> list[Json]:
        return await self._do(
            "volumes", deadline_s, lambda: list(self.volume_store.volumes.values())
        )

    async def create_volume(self, config: Json, *, deadline_s: float) -> Json:
        def act() -> Json:
            volume = self.volume_store.create(config)
            self.actions.append(("create_volume", volume["Name"]))
            return volume

        return await self._do("create_volume", deadline_s, act)

    async def remove_volume(self, name: str, *, force: bool, deadline_s: float) -> None:
        def act() -> None:
            self.volume_store.remove(name, force=force)
            self.actions.append(("remove_volume", name))

        await self._do("remove_volume", deadline_s, act)

    async def prune_volumes(self, *, deadline_s: float) -> Json:
        return await self._do("prune_volumes", deadline_s, self.volume_store.prune)

    # The rest

    async def open_terminal(
        self,
        container: str,
        command: Sequence[str],
        env: Mapping[str, str],
        sink: TerminalSink,
        *,
        deadline_s: float,
    ) -> FakeTerminal:
        def act() -> int:
            box = self._box(container)
            if not box.running:
                raise Conflict(f"Container {box.id} is not running", 409)
            self.terminals.append(FakeTerminal(box.name, command, env, sink))
            return len(self.terminals) - 1

        return self.terminals[await self._do("open_terminal", deadline_s, act)]

    def read_events(self, filters: Mapping[str, Sequence[str]], sink: EventSink) -> FakeReader:
        self.calls["read_events"] += 1
        return self.ring.read(filters, sink)

    async def close(self) -> None:
        self.ring.close_streams()

    @contextlib.contextmanager
    def _spread(self, image: str, over_s: float, step: Callable[[], None]) -> Iterator[None]:
        """Half of a pull's progress comes evenly while it lasts, the rest at its end."""
        loop = asyncio.get_running_loop()
        moments = range(1, 5) if over_s and not image.startswith(MISSING) else ()
        timers = [loop.call_later(over_s * part / 5, step) for part in moments]
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()

    def _image_name(self, box: Box) -> str:
        """The name that a container was made from, unless that is another image by now: then the ID."""
        return box.image if self.image_store.id_of(box.image) == box.image_id else box.image_id
