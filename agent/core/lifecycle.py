"""The agent's decisions: when to try, when to wait, for how long, and when to stop."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from agent.core.backoff import Backoff
from agent.core.chart import Chart
from agent.core.failures import Failure, Refusal
from agent.core.machine import ChartMachine, Event

SETTLED_AFTER_S = 60.0
"""A session that lasted this long was a good one: the next outage starts from the shortest delay."""

RETURN = Backoff(initial_s=60.0, max_s=600.0)
"""After an eviction: the other agent of this name is presumably there to stay, so come back seldom."""

SLOW_RETRY_S = 600.0
"""After a permanent refusal nothing changes by itself, but somebody may repair the server without telling us."""


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """A command that asks for another release of the agent. `command_id` is whose reply is still owed.

    `command` is its name on the wire. `binary_url` and `checksum` (hex SHA-256) are for agents that are no containers;
    "" where they were not given.
    """

    command_id: str
    image: str
    version: str
    command: str = "self_update"
    binary_url: str = ""
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class EngineKnown(Event):
    """There is an engine ID to register with."""


@dataclass(frozen=True, slots=True)
class CredentialsChanged(Event):
    """A token file holds something else than at the refusal."""


@dataclass(frozen=True, slots=True)
class RetryDue(Event): ...


@dataclass(frozen=True, slots=True)
class Registered(Event):
    """The server let us in as `host_id`."""

    host_id: str
    agent_id: str = field(repr=False)  # it is the permanent token


@dataclass(frozen=True, slots=True)
class AttemptFailed(Event):
    failure: Failure


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """The server said no, and will say no again."""

    refusal: Refusal


@dataclass(frozen=True, slots=True)
class LinkLost(Event):
    failure: Failure
    lasted_s: float = field(repr=False)


@dataclass(frozen=True, slots=True)
class Evicted(Event):
    """The server has another connection under our identity and closed this one. Not an outage."""

    lasted_s: float = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServerSilent(Event):
    """Connected, but nothing was asked of us for minutes: the host was probably deleted on the server."""

    lasted_s: float = field(repr=False)


@dataclass(frozen=True, slots=True)
class UpdateRequested(Event):
    request: UpdateRequest


@dataclass(frozen=True, slots=True)
class UpdateStaged(Event):
    """The next release is ready; whoever supervises us starts it when we have stopped."""

    version: str


@dataclass(frozen=True, slots=True)
class UpdateFailed(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class UpdateUnneeded(Event):
    """It is the release that runs."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Briefing of `await_reason`: after a refusal only a change or `retry_in_s` counts, else any engine does."""

    refusal: Refusal | None
    retry_in_s: float | None


@dataclass(frozen=True, slots=True)
class Memory:
    failures: int = 0
    evictions: int = 0
    delay_s: float = 0.0
    refusal: Refusal | None = None
    update: UpdateRequest | None = None  # the one in progress: it does not outlive the link


class Lifecycle(ChartMachine):
    """`statecharts/lifecycle.toml` at work."""

    memory: Memory

    def __init__(self, chart: Chart, *, backoff: Backoff, rng: random.Random) -> None:
        super().__init__(chart)
        self._backoff, self._rng = backoff, rng
        self.memory = Memory()

    def briefing(self, activity: str) -> object:
        match activity:
            case "await_reason":
                refusal = self.memory.refusal
                return Reason(refusal, SLOW_RETRY_S if refusal is not None else None)
            case "await_retry":
                return self.memory.delay_s
            case "follow_update":
                return self.memory.update
        return None

    # Actions named by the chart

    def plan_retry(self, event: Event) -> None:
        lasted_s = _lasted_s(event)
        kept = 0 if lasted_s >= SETTLED_AFTER_S else self.memory.failures
        evictions = 0 if lasted_s >= RETURN.max_s else self.memory.evictions
        failures = kept + 1
        delay_s = self._backoff.delay_s(failures, self._rng)
        self.memory = Memory(failures, evictions, delay_s, self.memory.refusal)

    def plan_return(self, event: Event) -> None:
        evictions = 1 if _lasted_s(event) >= RETURN.max_s else self.memory.evictions + 1
        delay_s = RETURN.delay_s(evictions, self._rng)
        self.memory = Memory(0, evictions, delay_s, self.memory.refusal)
        self.note("warning", "another agent connected as this host; stop one of the two")

    def remember_refusal(self, event: Event) -> None:
        assert isinstance(event, Refused)
        self.memory = replace(self.memory, refusal=event.refusal)

    def forget_refusal(self, event: Event) -> None:
        self.memory = replace(self.memory, refusal=None)

    def remember_update(self, event: Event) -> None:
        assert isinstance(event, UpdateRequested)
        self.memory = replace(self.memory, update=event.request)

    def decline_update(self, event: Event) -> None:
        self.note("warning", f"no update can begin in state {self.state}; it is declined")

    def forget_update(self, event: Event) -> None:
        self.memory = replace(self.memory, update=None)
        self.note("info", "the release asked for is the one that runs")

    def report_update(self, event: Event) -> None:
        why = event.reason if isinstance(event, UpdateFailed) else "it took too long"
        self.memory = replace(self.memory, update=None)
        self.note("error", f"self-update failed: {why}; this release goes on")


def _lasted_s(event: Event) -> float:
    """How long the session had lasted that ended with `event`; an attempt lasted not at all."""
    match event:
        case (
            LinkLost(lasted_s=lasted_s)
            | Evicted(lasted_s=lasted_s)
            | ServerSilent(lasted_s=lasted_s)
        ):
            return lasted_s
    return 0.0
