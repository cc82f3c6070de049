"""Who uses the engine beside the agent: makes a container, offers images, and remembers what the engine did."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import docker
from docker.utils import kwargs_from_env

from agent.adapters.engine import DockerEngine, Endpoint
from agent.console.image_registry import ImageRegistry
from agent.console.throwaway import FAILURES, IDLE, Seen, Source, Throwaway
from agent.console.witness import Key, Witness
from agent.ports import EngineError

T = TypeVar("T")

CALL_S = 20
PULL_S = 120.0
CLEAR_S = 30.0


class BystanderFailed(Exception):
    """The engine did not do what it was asked to, past the agent."""


class Bystander:
    """The blocking calls of `Throwaway` and `Witness`, each on a thread.

    Args:
        engine: Pulls an image, if need be.
        tasks: Owns the task of the witness.
    """

    def __init__(self, endpoint: Endpoint, engine: DockerEngine, tasks: asyncio.TaskGroup) -> None:
        self._endpoint, self._engine, self._tasks = endpoint, engine, tasks
        # One thread, so that clearing away comes after whatever was begun; the witness blocks another.
        self._hands = ThreadPoolExecutor(1, thread_name_prefix="bystander")
        self._eyes = ThreadPoolExecutor(1, thread_name_prefix="witness")
        self._client: docker.APIClient | None = None
        self._throwaway: Throwaway | None = None
        self._witness: Witness | None = None
        self._registry: ImageRegistry | None = None

    @property
    def name(self) -> str:
        """The name that the container was given."""
        return self._made.name

    @property
    def container_id(self) -> str:
        """64 characters; empty before there is one."""
        return self._throwaway.id if self._throwaway is not None else ""

    @property
    def image(self) -> str:
        """What the container was made from."""
        return self._made.image

    @property
    def label(self) -> str:
        """`NAME=VALUE` on whatever is the demo's: it is watched, and cleared away at the end."""
        return self._made.label

    @property
    def emitted(self) -> Counter[Key]:
        """The events that the engine has emitted for the demo's containers."""
        return self._witness.emitted if self._witness is not None else Counter()

    # What it does. Each raises BystanderFailed.

    async def sources(self) -> list[Source]:
        """The ways to an image, the best first."""
        self._client = await self._call(partial(_connect, self._endpoint))
        self._throwaway = Throwaway(self._client, secrets.token_hex(4))
        self._witness = Witness(partial(_connect, self._endpoint), self._throwaway.label)
        self._tasks.create_task(self._watch(self._witness), name="witness")
        return await self._call(self._throwaway.sources)

    async def make(self, source: Source) -> None:
        """Makes the container, stopped."""
        self._made.choose(source)
        if source.is_ours == "pulled":
            try:
                await self._engine.pull(source.image, deadline_s=PULL_S)
            except EngineError as error:
                raise BystanderFailed(str(error)) from None
        await self._call(self._made.make)

    async def start(self) -> None:
        await self._call(self._made.start)

    async def stop(self) -> None:
        await self._call(self._made.stop)

    async def look(self) -> Seen:
        """The container that has the name now, which need not be the one that was made."""
        return await self._call(self._made.look)

    async def processes(self) -> int:
        """How many there are in the container, which runs."""
        return await self._call(self._made.processes)

    async def follow(self) -> None:
        """From now on it is about the container that has the name now."""
        await self._call(self._made.follow)

    async def publish(self, tag: str, **config: Any) -> str:
        """Offers an image like the container with this `Config`; returns the reference to pull it by, on loopback."""
        if self._registry is None:
            await self._call(self._open_registry)
        assert self._registry is not None
        name, _, value = self.label.partition("=")
        labels: Mapping[str, str] = {name: value}
        return self._registry.push("demo", tag, {"Cmd": list(IDLE), "Labels": labels, **config})

    @property
    def publication_was_seen(self) -> bool:
        """Whether the engine got as far as to ask for what was published."""
        return self._registry is not None and self._registry.was_asked

    async def clear(self) -> list[str]:
        """Removes all that was made and ends; never raises. Returns commands for what would not go."""
        left: list[str] = []
        if self._throwaway is not None:
            try:
                async with asyncio.timeout(CLEAR_S):
                    left = await self._call(self._throwaway.remove_all)
            except (TimeoutError, BystanderFailed):
                left = [self._throwaway.by_hand]
        if self._witness is not None:
            self._witness.close()
        if self._registry is not None:
            self._registry.close()
        if self._client is not None:
            self._client.close()
        for threads in (self._hands, self._eyes):
            threads.shutdown(wait=False, cancel_futures=True)
        return left

    @property
    def _made(self) -> Throwaway:
        assert self._throwaway is not None, "sources() comes first"
        return self._throwaway

    def _open_registry(self) -> None:
        # Kept here and not by who asked for it: whatever happens to him, `clear` closes it.
        self._registry = ImageRegistry(*self._made.root())
        self._registry.open()

    async def _watch(self, witness: Witness) -> None:
        await asyncio.get_running_loop().run_in_executor(self._eyes, witness.watch)

    async def _call(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._hands, call)
        except FAILURES as error:
            raise BystanderFailed(f"{type(error).__name__}: {error}") from error


def _connect(endpoint: Endpoint) -> docker.APIClient:
    environment = {"DOCKER_HOST": endpoint.url}
    if endpoint.cert_path is not None:
        environment["DOCKER_CERT_PATH"] = str(endpoint.cert_path)
        environment["DOCKER_TLS_VERIFY"] = "1" if endpoint.verify else ""
    return docker.APIClient(
        version="auto", timeout=CALL_S, **kwargs_from_env(environment=environment)
    )
