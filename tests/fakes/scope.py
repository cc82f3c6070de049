"""A scope without a runtime: what a resource posts is kept, what it spawns is ended."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from agent.core.machine import Event


class FakeScope:
    """A context manager that stands for holding a resource. `posted` says what it told the chart, and when.

    What escapes a task is raised at the end of the block.
    """

    def __init__(self) -> None:
        self.posted: list[tuple[float, Event]] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def events(self) -> list[Event]:
        return [event for _, event in self.posted]

    def post(self, event: Event) -> None:
        self.posted.append((asyncio.get_running_loop().time(), event))

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.append(task)
        return task

    def detach(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Starts a job, as `Runtime.detach` does."""
        self.spawn(work, name)

    def end(self) -> None:
        """Cancels everything that was spawned, as the runtime does after a release."""
        for task in self._tasks:
            task.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception) and error is None:
                raise outcome
