"""The decisions about the socket for statistics: when to dial it again."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from agent.core.backoff import Backoff
from agent.core.chart import Chart
from agent.core.failures import Failure
from agent.core.lifecycle import AttemptFailed, LinkLost
from agent.core.machine import ChartMachine, Event

RETRYING = Backoff(initial_s=1.0, max_s=30.0)

SETTLED_AFTER_S = 60.0
"""A socket that lasted this long was a good one: the next outage starts from the shortest delay."""

UNWANTED_S = 300.0
"""The least to wait after a refusal. The server remembers for five minutes what it thinks of a token."""

_REFUSALS = {
    401: "the statistics service of the server does not know our token; live figures are not affected",
    404: "this server keeps no history of statistics; live figures are not affected",
}


@dataclass(frozen=True, slots=True)
class TokenKnown(Event):
    """There was a registration."""


@dataclass(frozen=True, slots=True)
class TokenChanged(Event):
    """We are registered under another token than the socket was opened with."""


@dataclass(frozen=True, slots=True)
class LinkOpened(Event): ...


@dataclass(frozen=True, slots=True)
class Memory:
    failures: int = 0
    delay_s: float = 0.0


class StatsLink(ChartMachine):
    """`statecharts/stats_link.toml` at work."""

    memory: Memory

    def __init__(self, chart: Chart, *, rng: random.Random) -> None:
        super().__init__(chart)
        self._rng = rng
        self.memory = Memory()

    def briefing(self, activity: str) -> object:
        return self.memory.delay_s if activity == "await_retry" else None

    # Actions named by the chart

    def plan_retry(self, event: Event) -> None:
        lasted_s = event.lasted_s if isinstance(event, LinkLost) else 0.0
        failures = 1 if lasted_s >= SETTLED_AFTER_S else self.memory.failures + 1
        if isinstance(event, AttemptFailed) and event.failure.status in _REFUSALS:
            delay_s = round(self._rng.uniform(UNWANTED_S, 2 * UNWANTED_S), 3)
        else:
            delay_s = RETRYING.delay_s(failures, self._rng)
        self.memory = Memory(failures, delay_s)


def explained(failure: Failure) -> Failure:
    """What the failure of a dial means here: a server may do without statistics, and be all right otherwise."""
    if failure.status in _REFUSALS:
        return replace(failure, advice=_REFUSALS[failure.status])
    return failure
