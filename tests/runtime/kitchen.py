"""A small chart with everything a chart can have, and parts that note what is done with them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.chart import Chart
from agent.core.machine import ChartMachine, Event, StopRequested
from agent.ports import Activity, Scope
from agent.runtime.region import Region
from agent.runtime.runtime import Move, Runtime


@dataclass(frozen=True, slots=True)
class Opened(Event): ...


@dataclass(frozen=True, slots=True)
class Cooked(Event): ...


@dataclass(frozen=True, slots=True)
class Served(Event): ...


@dataclass(frozen=True, slots=True)
class Stirred(Event):
    """Begins the cooking anew."""


@dataclass(frozen=True, slots=True)
class Tasted(Event):
    """Taken notice of; nothing moves."""


@dataclass(frozen=True, slots=True)
class Leaked(Event): ...


def chart(name: str = "kitchen") -> Chart:
    states = ["idle", "cooking", "serving"]
    return Chart.model_validate(
        {
            "name": name,
            "title": "A kitchen",
            "initial": "idle",
            "outside": ["stirred", "tasted", "stop_requested"],
            "resources": {
                "gas": {"doc": "", "posts": ["leaked"]},
                "water": {"doc": ""},
                "light": {"doc": ""},
            },
            "activities": {
                "wait": {"doc": "", "posts": ["opened"], "until": "opened"},
                "cook": {"doc": "", "posts": ["cooked"], "deadline_s": 60},
                "serve": {"doc": "", "posts": ["served"], "until": "served"},
            },
            "states": {
                "idle": {"doc": "", "does": "wait"},
                "cooking": {"doc": "", "holds": ["gas", "water"], "does": "cook"},
                "serving": {"doc": "", "holds": ["water", "light"], "does": "serve"},
                "shut": {"doc": "", "final": True},
            },
            "transitions": [
                {"on": "opened", "from": ["idle"], "to": "cooking"},
                {"on": "cooked", "from": ["cooking"], "to": "serving"},
                {"on": "served", "from": ["serving"], "to": "idle"},
                {"on": "stirred", "from": ["cooking"], "to": "cooking"},
                {"on": "tasted", "from": ["cooking"], "does_not_move": True},
                {"on": "leaked", "from": ["cooking"], "to": "idle"},
                {"on": "crashed", "from": states, "to": "idle"},
                {"on": "deadline_passed", "from": ["cooking"], "to": "idle"},
                {"on": "stop_requested", "from": states, "to": "shut"},
            ],
        }
    )


Line = tuple[float, str]
"""(loop time in s, what was done)"""


class Diary:
    """Who did what when."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def __call__(self, text: str) -> None:
        self.lines.append((round(asyncio.get_running_loop().time(), 3), text))

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.lines]


class Part:
    """A resource that does nothing but say so. `release` is what a test wants to happen in it."""

    def __init__(self, name: str, diary: Diary) -> None:
        self._name, self._diary = name, diary
        self.scopes: list[Scope] = []
        self.on_acquire: Callable[[Scope], None] = lambda _: None
        self.on_release: Callable[[], Awaitable[None]] = nothing
        self.on_abort: Callable[[], None] = lambda: None

    @property
    def scope(self) -> Scope:
        return self.scopes[-1]

    def acquire(self, scope: Scope) -> None:
        self._diary(f"acquire {self._name}")
        self.scopes.append(scope)
        self.on_acquire(scope)

    async def release(self) -> None:
        self._diary(f"release {self._name}")
        await self.on_release()

    def abort(self) -> None:
        self._diary(f"abort {self._name}")
        self.on_abort()


class CountedBeat:
    """When the watchdog was fed."""

    def __init__(self) -> None:
        self.pulses_s: list[float] = []
        self.states: Mapping[str, str] = {}

    def pulse(self, states: Mapping[str, str]) -> None:
        self.pulses_s.append(asyncio.get_running_loop().time())
        self.states = states


class Kitchen:
    """A region on a runtime. It begins to cook at once; then nothing ends unless a test exchanges activities."""

    def __init__(self, *, strict: bool = True, runtime: Runtime | None = None) -> None:
        self.diary = Diary()
        self.beat = CountedBeat()
        self.runtime = runtime or Runtime(beat=self.beat, strict=strict)
        self.parts = {name: Part(name, self.diary) for name in ("gas", "water", "light")}
        self.activities: dict[str, Activity] = {
            "wait": self.once(Opened()),
            "cook": self.forever,
            "serve": self.forever,
        }
        self.moves: list[Move] = []
        self.runtime.observe(self._moved)
        name = "kitchen" if runtime is None else "bar"
        self.machine = ChartMachine(chart(name))
        self.runtime.add(Region(self.machine, self.activities, self.parts))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Runtime]:
        """Runs, and stops it at the end of the block."""
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(self.runtime.run())
            yield self.runtime
            if not run.done():
                self.runtime.post(StopRequested("the test is over"))

    def timeline(self) -> list[tuple[float, str, str]]:
        return [(round(m.at_s, 3), type(m.event).__name__, m.after) for m in self.moves]

    def _moved(self, move: Move) -> None:
        if move.chart == self.machine.chart.name:
            self.moves.append(move)

    # Activities

    def once(self, event: Event) -> Activity:
        """Returns `event` the first time, and then never again."""
        events = [event]

        async def activity(_: object) -> Event:
            return events.pop() if events else await self.forever(_)

        return activity

    def after(self, delay_s: float, event: Event) -> Activity:
        async def activity(_: object) -> Event:
            await asyncio.sleep(delay_s)
            return event

        return activity

    async def forever(self, _: object) -> Event:
        await nothing_for_ever()
        raise AssertionError("for ever has ended")


class Stubborn:
    """Work that does not let itself be cancelled, until its test lets it go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()

    async def __call__(self, *_: object) -> Any:
        while not self.let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.let_go.wait()


async def nothing() -> None:
    pass


async def nothing_for_ever() -> None:
    await asyncio.get_running_loop().create_future()
