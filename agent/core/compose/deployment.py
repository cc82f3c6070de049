"""The decisions of one deployment: what comes next, and what is told in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agent.core.chart import Chart
from agent.core.compose.services import ServiceState
from agent.core.machine import ChartMachine, Crashed, DeadlinePassed, Event


@dataclass(frozen=True, slots=True)
class StackValidated(Event):
    """Compose can read the project."""


@dataclass(frozen=True, slots=True)
class StackRejected(Event):
    """It is not begun, for `reason`."""

    reason: str = field(repr=False)  # it may quote the project, and with it a secret


@dataclass(frozen=True, slots=True)
class StackStored(Event):
    """The files are in their place, and the job is on record."""


@dataclass(frozen=True, slots=True)
class StackKept(Event):
    """The project is to go: the stored files stay as they are, and the job is on record."""


@dataclass(frozen=True, slots=True)
class StackPulled(Event): ...


@dataclass(frozen=True, slots=True)
class StackTakenDown(Event): ...


@dataclass(frozen=True, slots=True)
class StackBroughtUp(Event): ...


@dataclass(frozen=True, slots=True)
class StackSettled(Event):
    """There is nothing more to wait for: all services are fine, or some will not be."""


@dataclass(frozen=True, slots=True)
class StackTornDown(Event):
    """What a first deployment left behind is gone, as far as that went."""


@dataclass(frozen=True, slots=True)
class StackFailed(Event):
    """A step went wrong, for `reason`."""

    reason: str = field(repr=False)  # it may quote the project, and with it a secret


@dataclass(frozen=True, slots=True)
class StackSeen(Event):
    """How the services are now."""

    services: Mapping[str, ServiceState] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SuccessReported(Event): ...


@dataclass(frozen=True, slots=True)
class FailureReported(Event): ...


@dataclass(frozen=True, slots=True)
class Memory:
    """`failure` is the first thing that went wrong, "" so far; `services` how they were when last looked at."""

    failure: str = ""
    services: Mapping[str, ServiceState] = field(default_factory=dict)


class Deployment(ChartMachine):
    """`statecharts/compose_deployment.toml` at work."""

    memory: Memory

    def __init__(self, chart: Chart) -> None:
        super().__init__(chart)
        self.memory = Memory()

    def briefing(self, activity: str) -> object:
        return self.memory if activity == "report" else None

    # Actions named by the chart

    def remember_failure(self, event: Event) -> None:
        match event:
            case StackFailed(reason=reason) | StackRejected(reason=reason):
                pass
            case DeadlinePassed(what=what):
                reason = f"it took too long to {_WHAT.get(what, what)}"
            case Crashed(what=what):
                reason = f"a defect of the agent kept it from going on ({what}); its log says more"
            case _:
                raise AssertionError(f"{event.trigger} is no failure")
        self.memory = replace(self.memory, failure=self.memory.failure or reason)

    def remember_services(self, event: Event) -> None:
        assert isinstance(event, StackSeen)
        self.memory = replace(self.memory, services=event.services)


_WHAT = {
    "validate": "read the project",
    "store": "store its files",
    "pull": "pull the images",
    "take_down": "take it down",
    "bring_up": "bring it up",
    "settle": "become healthy",
    "tear_down": "remove what was left of it",
    "look": "see what came of it",
    "report": "write down what came of it",
}
