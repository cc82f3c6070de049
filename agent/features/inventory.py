"""The `list_containers` command, asked every few seconds: from memory, as long as nothing happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel

from agent.core.container_shapes import (
    ListTooLarge,
    entry,
    repo_digests,
    without_largest_env,
)
from agent.core.replies import MAX_REPLY_BYTES, EncodedJson, encode_own
from agent.features.inspections import PASSING, Inspections
from agent.features.memory import Memory
from agent.ports import (
    CommandFailed,
    Engine,
    EngineError,
    EngineTimeout,
    Handler,
    Json,
    NotFound,
)

T = TypeVar("T")

SERVER_WAITS_S = 30.0
LIST_S = 18.0
EXTRAS_S = 8.0
"""For all inspections of one list. The server asks its hosts one after another: a slow answer delays every host."""

INSPECT_S = 3.0
INSPECTS_AT_ONCE = 4

REST_S = 30.0
"""A container whose inspection hung (the engine holds its lock) is listed without extras for this long."""

RECHECK_S = 60.0
"""How long a list may be answered with again, though nothing was heard of that would change it. Almost all that does
is told by an event; a container that is being removed, say, is not."""

SETTLE_S = 2.0
"""An engine tells of an end before its own list knows. A list asked for sooner after an event may be of the past."""

log = logging.getLogger("agent.inventory")


class Nothing(BaseModel):
    """The command comes without a payload."""


class Inventory:
    """Every container of the engine, as the server wants it. What the engine tells keeps the memory true.

    While its events are followed (between `engine_came_back` and `engine_went_away`), the whole list is remembered.

    Args:
        max_bytes: What the list may take as JSON.
    """

    def __init__(
        self, engine: Engine, inspections: Inspections, *, max_bytes: int = MAX_REPLY_BYTES
    ) -> None:
        self._engine, self._max_bytes = engine, max_bytes
        self._inspections = inspections
        self._digests: Memory[tuple[str, ...]] = Memory()
        self._one_at_a_time = asyncio.Lock()
        self._is_followed = False
        self._whole: EncodedJson | None = None  # in a fifth of the memory that its entries take
        self._asked_s = 0.0  # when the engine was asked for it
        self._settled_s = 0.0  # from when on a list may be remembered

    def handler(self) -> Handler[Nothing]:
        async def run(_payload: Nothing, _id: str) -> EncodedJson:
            # Whoever asks meanwhile would ask the engine for the same again.
            async with self._one_at_a_time:
                return await self._list()

        return Handler("list_containers", Nothing, run, lambda _: SERVER_WAITS_S)

    def invalidate(self, event: Json) -> None:
        """Forgets what an Engine API event makes stale."""
        match event:
            case {"Type": "container", "Action": str(action)} if not action.startswith(PASSING):
                self._forget_whole()
            case {"Type": "image"}:
                self._digests.forget_all()
                self._forget_whole()
            case {"Type": "network"}:
                self._forget_whole()

    def engine_came_back(self) -> None:
        """From now on its events are followed. Some may have been missed."""
        self._is_followed = True
        self.events_were_missed()

    def events_were_missed(self) -> None:
        self._digests.forget_all()
        self._forget_whole()

    def engine_went_away(self) -> None:
        """Events may be missed from now on."""
        self._is_followed = False
        self._forget_whole()

    def _forget_whole(self) -> None:
        self._whole = None
        self._settled_s = asyncio.get_running_loop().time() + SETTLE_S

    async def _list(self) -> EncodedJson:
        now_s = asyncio.get_running_loop().time()
        if self._whole is not None and now_s < self._asked_s + RECHECK_S:
            return self._whole
        self._whole, self._asked_s = None, now_s
        entries, is_complete = await self._list_anew()
        encoded = self._fitting(entries)
        if is_complete and self._is_followed and self._asked_s >= self._settled_s:
            self._whole = encoded
        return encoded

    async def _list_anew(self) -> tuple[list[Json], bool]:
        """The list, and whether there is nothing left to be learnt."""
        try:
            listed = await self._engine.containers(deadline_s=LIST_S)
        except EngineError as error:
            raise EngineError(f"the Docker engine did not list its containers: {error}") from error
        until_s = asyncio.get_running_loop().time() + EXTRAS_S
        more, gone = await self._recall(
            self._inspections, _texts(listed, "Id"), self._inspections.ask, until_s
        )
        digests, _ = await self._recall(
            self._digests, _texts(listed, "ImageID"), self._inspect_image, until_s
        )
        extras = {container: inspected.extras for container, inspected in more.items()}
        entries = [
            entry(item, extras.get(container_id), digests.get(_text(item, "ImageID")))
            for item in listed
            if (container_id := _text(item, "Id")) not in gone
        ]
        is_complete = len(more) + len(digests) == len(
            [*_texts(listed, "Id"), *_texts(listed, "ImageID")]
        )
        return entries, is_complete

    async def _inspect_image(self, image: str, deadline_s: float) -> tuple[str, ...]:
        try:
            return repo_digests(await self._engine.inspect_image(image, deadline_s=deadline_s))
        except NotFound:  # removed by force while a container uses it
            return ()

    async def _recall(
        self,
        memory: Memory[T],
        keys: Collection[str],
        ask: Callable[[str, float], Awaitable[T]],
        until_s: float,
    ) -> tuple[Mapping[str, T], set[str]]:
        """What is known of `keys`, asked for where need be. Returns (answers by key, keys that are gone)."""
        loop = asyncio.get_running_loop()
        memory.retain(keys)
        missing = [key for key in keys if memory.lacks(key, loop.time())]
        answers, gone = dict(memory.known), set[str]()
        questions = iter(missing)

        async def work() -> None:
            for key in questions:
                if (left_s := until_s - loop.time()) <= 0:
                    return
                try:
                    # Somebody else may have asked meanwhile.
                    if (answer := memory.known.get(key)) is None:
                        answer = await memory.learn(key, ask(key, min(INSPECT_S, left_s)))
                    answers[key] = answer
                except NotFound:
                    gone.add(key)
                except EngineError as error:
                    # The entry stays without details: one that is missing counts as a container that was removed.
                    log.info("%s is listed without details: %s", key[:19], error)
                    if isinstance(error, EngineTimeout):
                        memory.rest(key, loop.time() + REST_S)

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(INSPECTS_AT_ONCE, len(missing))):
                workers.create_task(work())
        return answers, gone

    def _fitting(self, entries: list[Json]) -> EncodedJson:
        encoded = EncodedJson(encode_own(entries))
        if len(encoded) <= self._max_bytes:
            return encoded
        try:
            shorter = without_largest_env(entries, len(encoded) - self._max_bytes)
        except ListTooLarge as large:
            raise CommandFailed(
                f"the list of {len(entries)} containers has {large.size_bytes} bytes without their "
                f"environments, and the server takes {self._max_bytes}"
            ) from None
        log.warning(
            "the list of containers has %d bytes: large environments are left out", len(encoded)
        )
        return EncodedJson(encode_own(shorter))


def _text(item: Json, key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


def _texts(items: Iterable[Json], key: str) -> Collection[str]:
    """The distinct values of `key`, in order."""
    return dict.fromkeys(text for item in items if (text := _text(item, key))).keys()
