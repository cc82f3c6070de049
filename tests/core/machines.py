"""Every machine there is and one example of every event, by the names the charts know."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from agent.core.backoff import Backoff
from agent.core.chart import Chart
from agent.core.compose.deployment import (
    Deployment,
    FailureReported,
    StackBroughtUp,
    StackFailed,
    StackKept,
    StackPulled,
    StackRejected,
    StackSeen,
    StackSettled,
    StackStored,
    StackTakenDown,
    StackTornDown,
    StackValidated,
    SuccessReported,
)
from agent.core.container_update import (
    ContainerUpdate,
    Dependent,
    DependentsMoved,
    ImagePulled,
    LeftoversRemoved,
    NewCreated,
    NewIsWell,
    NewStarted,
    OldRestored,
    OldSetAside,
    RestoreFailed,
    StepFailed,
    Update,
    UpdatePlanned,
)
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
    UpdateUnneeded,
)
from agent.core.machine import ChartMachine, Crashed, DeadlinePassed, Event, StopRequested
from agent.core.self_update import (
    Checked,
    Cleaned,
    Drained,
    FitToRun,
    Installed,
    Prepared,
    PreparedNatively,
    Pulled,
    ReadyToSwitch,
    ReleaseHere,
    Resolved,
    RunsAlready,
    SelfUpdateMachine,
    Switched,
    UpdateCancelled,
    UpdateStepFailed,
    Verified,
)
from agent.core.self_update import Update as UpdateOfAgent
from agent.core.stats_link import LinkOpened, StatsLink, TokenChanged, TokenKnown

BROKEN = Failure(FailureKind.LOST, "the connection broke, code 1006")


class LongestDelays(random.Random):
    """Waits as long as it may, so that a ceiling can be told by the delay."""

    def uniform(self, a: float, b: float) -> float:
        return b


def lifecycle() -> Lifecycle:
    return Lifecycle(Chart.load("lifecycle"), backoff=Backoff(1.0, 60.0), rng=LongestDelays())


def engine_watch() -> EngineWatch:
    return EngineWatch(Chart.load("engine"), rng=LongestDelays())


def stats_link() -> StatsLink:
    return StatsLink(Chart.load("stats_link"), rng=LongestDelays())


BEGAN_AT = datetime(2026, 1, 1, tzinfo=UTC)

UPDATE_OF_WEB = Update("c-3", "0d" * 32, "web", "paper:2.5", 30, 120, BEGAN_AT)

SIDECAR = Dependent("5c" * 32, "sidecar", was_running=True)


def container_update() -> ContainerUpdate:
    return ContainerUpdate(Chart.load("container_update"), UPDATE_OF_WEB)


def compose_deployment() -> Deployment:
    return Deployment(Chart.load("compose_deployment"))


RUNNING_BUILD = "0a" * 32

UPDATE_OF_AGENT = UpdateOfAgent(
    UpdateRequest("c-9", "registry.test/agent:3.1.0", "3.1.0"), RUNNING_BUILD
)


def self_update() -> SelfUpdateMachine:
    return SelfUpdateMachine(Chart.load("self_update"), UPDATE_OF_AGENT)


MACHINES: Mapping[str, Callable[[], ChartMachine]] = {
    "compose_deployment": compose_deployment,
    "container_update": container_update,
    "engine": engine_watch,
    "lifecycle": lifecycle,
    "self_update": self_update,
    "stats_link": stats_link,
}

EXAMPLES: Sequence[Event] = (
    AttemptFailed(BROKEN),
    CaughtUp(replayed=3, inferred=0),
    Checked("3.1.0"),
    Cleaned(),
    Crashed("register", "ValueError: a defect"),
    CredentialsChanged(),
    DeadlinePassed("register"),
    DependentsMoved(failed=("sidecar",)),
    Drained(),
    EngineAnswered("ENGN:AAAA", "27.3.1"),
    EngineKnown(),
    EngineLost("the engine does not answer"),
    EngineSilent("no such file"),
    Evicted(lasted_s=5.0),
    FailureReported(),
    FitToRun(),
    ImagePulled("sha256:" + "1b" * 32),
    Installed(was_there=False),
    LeftoversRemoved(),
    LinkLost(BROKEN, lasted_s=5.0),
    LinkOpened(),
    NewCreated("3e" * 32),
    NewIsWell(),
    NewStarted(),
    OldRestored(),
    OldSetAside(),
    Prepared(),
    PreparedNatively(),
    Pulled("registry.test/agent@sha256:" + "1b" * 32, was_there=False),
    ReadyToSwitch(),
    Refused(Refusal("Invalid registration token", permanent=True)),
    Registered("host-1", "agent-1"),
    ReleaseHere("5f0c1d9e"),
    Resolved("registry.test/agent@sha256:" + "1b" * 32, was_there=False),
    RestoreFailed("the name is taken"),
    RetryDue(),
    RunsAlready(RUNNING_BUILD, "3.1.0"),
    ServerSilent(lasted_s=300.0),
    StackBroughtUp(),
    StackFailed("no such image"),
    StackKept(),
    StackPulled(),
    StackRejected("yaml: line 3"),
    StackSeen({}),
    StackSettled(),
    StackStored(),
    StackTakenDown(),
    StackTornDown(),
    StackValidated(),
    StepFailed("no such image"),
    StopRequested("SIGTERM"),
    StreamEnded("the engine closed it"),
    StreamOverran(dropped=8),
    SuccessReported(),
    Switched(),
    TokenChanged(),
    TokenKnown(),
    UpdateCancelled("the link was lost"),
    UpdateFailed("the signature is not ours"),
    UpdatePlanned(
        was_running=True, dependents=(SIDECAR,), finish_by=BEGAN_AT + timedelta(minutes=5)
    ),
    UpdateRequested(UpdateRequest("c-1", "dockmon-agent:4.0.0", "4.0.0")),
    UpdateStaged("4.0.0"),
    UpdateStepFailed("no such image"),
    UpdateUnneeded(),
    Verified("2c" * 32, "3.1.0"),
)

EVENTS: Mapping[str, Event] = {event.trigger: event for event in EXAMPLES}


def arrived(chart: str, state: str) -> ChartMachine:
    """A machine that came to `state` as it does in life: by the shortest series of events that leads there."""
    machine = _played(chart, way_to(chart, state))
    assert machine.state == state
    return machine


@cache
def way_to(chart: str, state: str) -> Sequence[Event]:
    """The shortest series of examples that leads from the initial state to `state`, guards and all."""
    first = _played(chart, ())
    ways: dict[str, tuple[Event, ...]] = {first.state: ()}
    frontier = deque([first.state])
    while state not in ways:
        here = frontier.popleft()
        for trigger in sorted(first.chart.handled_in(here)):
            way = (*ways[here], EVENTS[trigger])
            there = _played(chart, way).state
            if there not in ways:
                ways[there] = way
                frontier.append(there)
    return ways[state]


def _played(chart: str, events: Sequence[Event]) -> ChartMachine:
    machine = MACHINES[chart]()
    machine.begin()
    for event in events:
        machine.handle(event)
    return machine
