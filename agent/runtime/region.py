"""One chart together with the code that does what it names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.core.machine import ChartMachine, Event, Ticket
from agent.ports import Activity, Resource


@dataclass(frozen=True, slots=True)
class Region:
    """A machine, its activities and its resources. Chart and code agree to the letter, or it does not construct."""

    machine: ChartMachine
    activities: Mapping[str, Activity]
    resources: Mapping[str, Resource]
    subject: str = ""  # tells it from others of its chart
    running: dict[int, asyncio.Task[None]] = field(default_factory=dict)  # by visit
    scopes: dict[str, TaskScope] = field(default_factory=dict)  # by resource

    def __post_init__(self) -> None:
        chart = self.machine.chart
        for kind, named, given in (
            ("activities", set(chart.activities), set(self.activities)),
            ("resources", set(chart.resources), set(self.resources)),
        ):
            if named != given:
                raise TypeError(
                    f"{chart.name}: {kind} differ in {', '.join(sorted(named ^ given))}"
                )

    @property
    def name(self) -> str:
        return f"{self.machine.chart.name} {self.subject}".rstrip()


@dataclass(slots=True)
class TaskScope:
    """The `Scope` of one acquisition, and the tasks that ended up in it."""

    poster: Callable[[Ticket, Event], None]
    starter: Callable[[Coroutine[Any, Any, None], str, Ticket], asyncio.Task[None]]
    ticket: Ticket
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def post(self, event: Event) -> None:
        self.poster(self.ticket, event)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self.starter(work, name, self.ticket)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task
