"""What every verb needs: the hub, somewhere to write, and how words on a line are read."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Self, TextIO

from agent.hub.host import Host
from agent.hub.inventory import name_of, short_id
from agent.hub.server import Hub
from agent.hub.shapes import SHORT_ID_LENGTH

Verb = Callable[[str], Awaitable[None]]
"""Obeys what stands after its name on a line. Raises Mistake."""


_ID = re.compile("[0-9a-f]{12,64}")


class Mistake(Exception):
    """The line cannot be obeyed; the text says why."""


class Clerk:
    """`async with` ends what it began."""

    def __init__(self, hub: Hub, out: TextIO) -> None:
        self.hub, self._out = hub, out
        self._group = asyncio.TaskGroup()
        self._begun: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._begun:
            task.cancel()
        # What ended the block concerns no task: passed on, it would come back wrapped in a group.
        await self._group.__aexit__(None, None, None)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Goes on with `work` while other lines are obeyed. Its mistake is told like any other."""
        task = self._group.create_task(self._finish(work))
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)

    async def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Mistake as mistake:
            self.say(str(mistake))

    def say(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    def list(self, lines: Iterable[str]) -> None:
        """A line for each; `none` for an empty list, so that it is not taken for a missing answer."""
        for line in tuple(lines) or ("none",):
            self.say(line)

    def show(self, text: str) -> None:
        """As it is, without an end of the line."""
        print(text, end="", file=self._out, flush=True)

    def target(self, rest: str) -> tuple[Host, str]:
        """The host that the line is about, and the line without it."""
        hosts = self.hub.hosts.values()
        if not rest.startswith("@"):
            if not hosts:
                raise Mistake("no host is registered")
            return next(iter(hosts)), rest
        name, _, rest = rest[1:].partition(" ")
        for host in hosts:
            if name in (host.name, host.id):
                return host, rest.strip()
        raise Mistake(f"no host is called {name}; `hosts` lists them")

    def container_id(self, host: Host, name: str) -> str:
        """The short ID of the container called so; an ID that was not listed may be good all the same."""
        for container in host.containers:
            if name == name_of(container):
                return short_id(container)
        if _ID.fullmatch(name) is None:
            raise Mistake(f"no container is called {name}; `containers` lists them")
        return name[:SHORT_ID_LENGTH]

    async def ask(self, host: Host, name: str, payload: Mapping[str, Any] | None = None) -> Any:
        """The body of the answer."""
        answer = await self.hub.ask(host.id, name, payload)
        if not answer.ok:
            raise Mistake(f"failed ({answer.status}): {answer.detail}")
        return answer.body


def words(rest: str, usage: str, least: int, most: int) -> list[str]:
    """The words on the line, filled up to `most` with empty ones."""
    found = rest.split()
    if not least <= len(found) <= most:
        raise Mistake(f"like this: {usage}")
    return found + [""] * (most - len(found))


def number(text: str, default: float) -> float:
    try:
        given = float(text) if text else default
    except ValueError:
        raise Mistake(f"{text} is no number") from None
    if not 0 <= given < 1e9:
        raise Mistake(f"{text} is out of range")
    return given
