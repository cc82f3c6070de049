"""Which containers run and what they are called, from a listing now and then and the engine's events between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from agent.core.journal import snapshot
from agent.core.stats import Counters


@dataclass(frozen=True, slots=True)
class Process:
    """A container's first process: its number on the engine's host, and whether its network is counted."""

    pid: int
    has_network: bool


@dataclass(slots=True, eq=False)
class Run:
    """One run of a container, from a start to its end. `before` is the last look at its counters, None at first.

    `process` is None until somebody asked for it.
    """

    container_id: str
    name: str
    before: Counters | None = None
    process: Process | None = None


class Roster:
    """The running containers.

    A new reader of events begins with those of the past: they come in order, so the last of each container is right.
    """

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._is_listing = False
        self._touched: set[str] = set()

    def runs(self) -> list[Run]:
        return list(self._runs.values())

    def has(self, run: Run) -> bool:
        """Whether that run goes on, under its container's ID."""
        return self._runs.get(run.container_id) is run

    def notice(self, event: Mapping[str, Any]) -> Run | None:
        """Takes in an Engine API event. Returns the run that ended with it, if there was one."""
        match event:
            case {
                "Type": "container",
                "Action": str(action),
                "Actor": {"ID": str(container_id), "Attributes": dict(told)},
            }:
                return self._noticed(action, container_id, str(told.get("name") or ""))
        return None

    @contextmanager
    def listing(self) -> Iterator[None]:
        """To be held from the question to `listed`: events that come meanwhile are newer than the answer."""
        self._is_listing = True
        try:
            yield
        finally:
            self._is_listing = False
            self._touched.clear()

    def listed(self, containers: Iterable[Mapping[str, Any]]) -> list[Run]:
        """Takes in an answer to `GET /containers/json?all=1`. Returns what there is that does not run."""
        seen = snapshot(containers)
        for gone in self._runs.keys() - seen.keys() - self._touched:
            del self._runs[gone]
        idle = []
        for container_id, look in seen.items():
            if container_id not in self._touched:
                run = self._runs.setdefault(container_id, Run(container_id, look.name))
                run.name = look.name
                if not look.running:
                    idle.append(self._runs.pop(container_id))
        return idle

    def _noticed(self, action: str, container_id: str, name: str) -> Run | None:
        ended = None
        # A `kill` may be any signal: only `die` is an end.
        match action:
            case "start":
                self._runs[container_id] = Run(container_id, name)
            case "die" | "destroy":
                ended = self._runs.pop(container_id, None)
            case "rename" if container_id in self._runs:
                self._runs[container_id].name = name
            case _:
                return None
        if self._is_listing:
            self._touched.add(container_id)
        return ended
