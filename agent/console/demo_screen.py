"""The demo's view as a living picture: the terminal is borrowed, and given back as it was."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.live import Live

from agent import logs
from agent.console import demo_view
from agent.console.demo_log import Tail, logging_to
from agent.console.demo_scene import Fact, Report, Scene

FRAME_S = 0.2
LOG_LINES = 100


class Screen:
    """Shows the newest scene a few times a second. Facts are part of it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tail = Tail(LOG_LINES)

    @property
    def log(self) -> Sequence[str]:
        return self._tail.lines

    def logging(self) -> contextlib.AbstractContextManager[logs.Redactor]:
        return logging_to(self._tail, "info")

    def tell(self, fact: Fact) -> None:
        """Nothing to do: the next scene has it."""

    async def paint(self, scene: Callable[[], Scene]) -> None:
        # Drawn from the loop, never from a thread: a scene is read while nothing moves.
        with Live(console=self._console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(demo_view.draw(scene(), *self._console.size), refresh=True)
                await asyncio.sleep(FRAME_S)

    def end(self, report: Report) -> None:
        self._console.print(demo_view.summary(report), soft_wrap=True)
