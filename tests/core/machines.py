"""Every machine there is and one example of every event, by the names the charts know."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from agent.core.backoff import Backoff
from agent.core.chart import Chart
from agent.core.engine_watch import (
    CaughtUp,
    EngineAnswered,
    EngineLost,
    EngineSilent,
    EngineWatch,
    StreamEnded,
    StreamOverran,
)
from agent.core.failures import Failure, FailureKind, Refusal
from agent.core.lifecycle import (
    AttemptFailed,
    CredentialsChanged,
    EngineKnown,
    Evicted,
    Lifecycle,
    LinkLost,
    Refused,
    Registered,
    RetryDue,
    ServerSilent,
    UpdateFailed,
    UpdateRequest,
    UpdateRequested,
    UpdateStaged,
)
from agent.core.machine import ChartMachine, Crashed, DeadlinePassed, Event, StopRequested

BROKEN = Failure(FailureKind.LOST, "the connection broke, code 1006")


class LongestDelays(random.Random):
    """Waits as long as it may, so that a ceiling can be told by the delay."""

    def uniform(self, a: float, b: float) -> float:
        return b


def lifecycle() -> Lifecycle:
    return Lifecycle(Chart.load("lifecycle"), backoff=Backoff(1.0, 60.0), rng=LongestDelays())


def engine_watch() -> EngineWatch:
    return EngineWatch(Chart.load("engine"), rng=LongestDelays())


MACHINES: Mapping[str, Callable[[], ChartMachine]] = {
    "engine": engine_watch,
    "lifecycle": lifecycle,
}

EXAMPLES: Sequence[Event] = (
    AttemptFailed(BROKEN),
    CaughtUp(replayed=3, inferred=0),
    Crashed("register", "ValueError: a defect"),
    CredentialsChanged(),
    DeadlinePassed("register"),
    EngineAnswered("ENGN:AAAA", "27.3.1"),
    EngineKnown(),
    EngineLost("the engine does not answer"),
    EngineSilent("no such file"),
    Evicted(lasted_s=5.0),
    LinkLost(BROKEN, lasted_s=5.0),
    Refused(Refusal("Invalid registration token", permanent=True)),
    Registered("host-1", "agent-1"),
    RetryDue(),
    ServerSilent(lasted_s=300.0),
    StopRequested("SIGTERM"),
    StreamEnded("the engine closed it"),
    StreamOverran(dropped=8),
    UpdateFailed("the signature is not ours"),
    UpdateRequested(UpdateRequest("c-1", "dockmon-agent:4.0.0", "4.0.0")),
    UpdateStaged("4.0.0"),
)

EVENTS: Mapping[str, Event] = {event.trigger: event for event in EXAMPLES}


def arrived(chart: str, state: str) -> ChartMachine:
    """A machine that came to `state` as it does in life: by the shortest series of events that leads there."""
    machine = MACHINES[chart]()
    machine.begin()
    for event in way_to(machine.chart, state):
        machine.handle(event)
    assert machine.state == state
    return machine


def way_to(chart: Chart, state: str) -> Sequence[Event]:
    """The shortest series of examples that leads from the initial state to `state`."""
    ways: dict[str, tuple[Event, ...]] = {chart.initial: ()}
    frontier = deque([chart.initial])
    while state not in ways:
        here = frontier.popleft()
        for move in chart.transitions:
            if here in move.source and move.to is not None and move.to not in ways:
                ways[move.to] = (*ways[here], EVENTS[move.on])
                frontier.append(move.to)
    return ways[state]
