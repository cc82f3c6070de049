"""The decisions about the Docker engine: is it there, and is everything it did in the journal."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from agent.core.backoff import Backoff
from agent.core.chart import Chart
from agent.core.machine import ChartMachine, Event

PROBING = Backoff(initial_s=1.0, max_s=15.0)
"""A restarting engine is back within seconds; a quarter of a minute is the most its return goes unnoticed."""


@dataclass(frozen=True, slots=True)
class EngineAnswered(Event):
    engine_id: str
    version: str


@dataclass(frozen=True, slots=True)
class EngineSilent(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class CaughtUp(Event):
    """The journal holds all that could be found: `replayed` from the ring, `inferred` from the comparison."""

    replayed: int
    inferred: int


@dataclass(frozen=True, slots=True)
class EngineLost(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class StreamEnded(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class StreamOverran(Event):
    """Events came faster than they could be journalled, and the buffer was dropped."""

    dropped: int


@dataclass(frozen=True, slots=True)
class Memory:
    failures: int = 0
    delay_s: float = 0.0


class EngineWatch(ChartMachine):
    """`statecharts/engine.toml` at work."""

    memory: Memory

    def __init__(self, chart: Chart, *, rng: random.Random) -> None:
        super().__init__(chart)
        self._rng = rng
        self.memory = Memory()

    def briefing(self, activity: str) -> object:
        return self.memory.delay_s if activity == "probe" else None

    # Actions named by the chart

    def wait_longer(self, event: Event) -> None:
        failures = self.memory.failures + 1
        self.memory = Memory(failures, PROBING.delay_s(failures, self._rng))

    def read_again(self, event: Event) -> None:
        assert isinstance(event, StreamOverran)
        self.memory = replace(self.memory, delay_s=0.0)
        self.note("warning", f"{event.dropped} engine events overran the buffer; comparing again")

    def engine_is_back(self, event: Event) -> None:
        assert isinstance(event, EngineAnswered)
        self.note("info", f"the Docker engine answers: {event.version}")

    def settle(self, event: Event) -> None:
        self.memory = Memory()
