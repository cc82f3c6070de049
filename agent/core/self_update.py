"""The decisions about replacing the release that runs: what comes next, and what is remembered for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.core.chart import Chart
from agent.core.lifecycle import UpdateRequest
from agent.core.machine import ChartMachine, Crashed, DeadlinePassed, Event, StopRequested


@dataclass(frozen=True, slots=True)
class Update:
    """One update of the agent: what was asked for, and what became of it so far.

    Attributes:
        running_build: The release that runs.
        is_native: There is no container around us.
        image: The image by its digest, or by its tag where a proxy does not let us ask for that; "" before.
        image_was_there: The engine had it before: then it stays.
        found_version: What the image's label says.
        staging: Where the release arrives; "" before.
        build_id, version: What the release is, by its signed manifest.
        slot_was_there: It was installed before: then it stays.
        may_be_switched: The launcher was asked and has not said no: what it may have put on trial is not removed.
        reason: Why it failed or was cancelled, for users; "" while it has not.
    """

    request: UpdateRequest
    running_build: str
    is_native: bool = False
    image: str = ""
    image_was_there: bool = True
    found_version: str = ""
    staging: str = ""
    build_id: str = ""
    version: str = ""
    slot_was_there: bool = True
    may_be_switched: bool = False
    is_cancelled: bool = False
    reason: str = ""


# Events


@dataclass(frozen=True, slots=True)
class UpdateCancelled(Event):
    """The session that asked for it has ended."""

    reason: str


@dataclass(frozen=True, slots=True)
class Prepared(Event): ...


@dataclass(frozen=True, slots=True)
class PreparedNatively(Event):
    """There is no container around us: the release comes as a file."""


@dataclass(frozen=True, slots=True)
class Resolved(Event):
    """`image` by its digest, or by its tag if the digest could not be asked for."""

    image: str
    was_there: bool


@dataclass(frozen=True, slots=True)
class Pulled(Event):
    """`image` by its digest."""

    image: str
    was_there: bool


@dataclass(frozen=True, slots=True)
class Checked(Event):
    version: str


@dataclass(frozen=True, slots=True)
class ReleaseHere(Event):
    staging: str


@dataclass(frozen=True, slots=True)
class Verified(Event):
    build_id: str
    version: str


@dataclass(frozen=True, slots=True)
class RunsAlready(Event):
    """It is signed and complete, and it is the release that runs."""

    build_id: str
    version: str


@dataclass(frozen=True, slots=True)
class Installed(Event):
    was_there: bool


@dataclass(frozen=True, slots=True)
class FitToRun(Event): ...


@dataclass(frozen=True, slots=True)
class ReadyToSwitch(Event): ...


@dataclass(frozen=True, slots=True)
class Drained(Event): ...


@dataclass(frozen=True, slots=True)
class Switched(Event): ...


@dataclass(frozen=True, slots=True)
class UpdateStepFailed(Event):
    """`is_open`: whether it was done after all is not known."""

    reason: str
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Cleaned(Event): ...


class SelfUpdateMachine(ChartMachine):
    """`statecharts/self_update.toml` at work. Each activity's briefing is the update as far as it is known."""

    memory: Update

    def __init__(self, chart: Chart, update: Update) -> None:
        super().__init__(chart)
        self.memory = update

    def briefing(self, activity: str) -> Update:
        return self.memory

    # Guards named by the chart

    def was_cancelled(self, event: Event) -> bool:
        return self.memory.is_cancelled

    # Actions named by the chart

    def remember_image(self, event: Event) -> None:
        assert isinstance(event, Resolved | Pulled)
        self.memory = replace(self.memory, image=event.image, image_was_there=event.was_there)

    def remember_version(self, event: Event) -> None:
        assert isinstance(event, Checked)
        self.memory = replace(self.memory, found_version=event.version)

    def remember_staging(self, event: Event) -> None:
        assert isinstance(event, ReleaseHere)
        self.memory = replace(self.memory, staging=event.staging)

    def remember_release(self, event: Event) -> None:
        assert isinstance(event, Verified | RunsAlready)
        self.memory = replace(self.memory, build_id=event.build_id, version=event.version)

    def remember_slot(self, event: Event) -> None:
        assert isinstance(event, Installed)
        self.memory = replace(self.memory, slot_was_there=event.was_there)

    def remember_reason(self, event: Event) -> None:
        self.memory = replace(
            self.memory,
            reason=self.memory.reason or _reason(event),
            may_be_switched=self.memory.may_be_switched or _is_open(event),
        )
        self.note("warning", f"the update of the agent failed: {_reason(event)}")

    def remember_cancelled(self, event: Event) -> None:
        self.memory = replace(self.memory, is_cancelled=True, reason=_reason(event))
        self.note("warning", f"the update of the agent is cancelled: {self.memory.reason}")


def _is_open(event: Event) -> bool:
    """Whether the launcher may have been asked, and its answer is not known."""
    match event:
        case UpdateStepFailed(is_open=is_open):
            return is_open
        case DeadlinePassed(what) | Crashed(what):
            return what == "switch"
    return False


def _reason(event: Event) -> str:
    match event:
        case UpdateStepFailed(reason) | UpdateCancelled(reason):
            return reason
        case StopRequested():
            return "the agent was stopped; update again"
        case DeadlinePassed(what):
            return f"it took too long to {what.replace('_', ' ')}"
        case Crashed(what, error):
            # The rest of the error is in the log: it is for us, and may hold what is not for everybody.
            return f"a defect of the agent in {what}: {error.partition(':')[0]}"
    raise AssertionError(f"{event.trigger} is no failure")
