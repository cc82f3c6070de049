"""The decisions about updating one container: what comes next, what is remembered, where a later process goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from agent.core.chart import Chart
from agent.core.journal import Row
from agent.core.machine import ChartMachine, Crashed, DeadlinePassed, Event

SERVER_WAITS_S = 300.0
"""From the acknowledgement. Afterwards the server has told the user that it failed, and takes no success for one."""

MARGIN_S = 15.0
"""Of that time, for removing the old container and bringing the news home."""

SHORTEST_S = 30.0
"""What creating and starting a container and the shortest look at its health take, on a busy host."""

EACH_DEPENDENT_S = 15.0
"""What is kept for recreating each of them when the time for the health check is measured: half of all at most."""

UPDATE_LABEL = "dockmon-agent.update"
"""On each container made here: the ID of the command. What does not carry it was made by somebody else."""


@dataclass(frozen=True, slots=True)
class Dependent:
    """A container that cannot outlive the one that is updated. `id` has 64 characters."""

    id: str
    name: str
    was_running: bool


@dataclass(frozen=True, slots=True)
class Update:
    """One update: what was asked for, and what became of it so far. Never a secret, for it is written down.

    Attributes:
        command_id: Whose acknowledgement was or is owed; also the job's ID.
        container_id: The old container's ID, 64 characters.
        new_image: The reference as the server sent it.
        new_image_id: What it meant when it had been pulled; "" before.
        finish_by: When the server gives up, a margin taken off; None until something is about to be touched.
        new_id: The new container's ID, 64 characters; "" before there is one.
        failed_dependents: Names of those that could not be recreated, or were not well afterwards.
        reason: Why it failed, for users; "" while it has not.
        trouble: Why the old container could not be put back; "" if it could, or need not be.
        has_leftovers: The new container is at work and something of the old one could not be removed.
    """

    command_id: str
    container_id: str
    name: str
    new_image: str
    stop_timeout_s: int
    health_timeout_s: int
    began_at: datetime
    new_image_id: str = ""
    was_running: bool = False
    dependents: tuple[Dependent, ...] = ()
    finish_by: datetime | None = None
    new_id: str = ""
    failed_dependents: tuple[str, ...] = ()
    reason: str = ""
    trouble: str = ""
    has_leftovers: bool = False

    @property
    def backup_name(self) -> str:
        """The server's automatic restart leaves containers alone whose name has this infix."""
        return f"{self.name}-dockmon-backup-{int(self.began_at.timestamp())}"

    def aside_name(self, dependent: Dependent) -> str:
        """What a dependent is called while its successor has its name."""
        return f"{dependent.name}-dockmon-temp-{int(self.began_at.timestamp())}"

    def originals(self) -> Iterator[tuple[str, str, str]]:
        """Of each container that makes room: its ID, its name, and what it is called while another has that name."""
        yield self.container_id, self.name, self.backup_name
        for dependent in self.dependents:
            yield dependent.id, dependent.name, self.aside_name(dependent)

    def references(self) -> Iterator[str]:
        """IDs and names of every container that it works on."""
        for known_by in self.originals():
            yield from known_by
        if self.new_id:
            yield self.new_id

    def remaining_s(self, now: datetime) -> float:
        """What is left until it has to be finished; negative when that has passed."""
        assert self.finish_by is not None, "it is known before anything is touched"
        return (self.finish_by - now).total_seconds()

    def health_s(self, now: datetime) -> float:
        """How long the new container has to prove itself: as asked for, if the server waits so long. 0: it does not."""
        remaining_s = self.remaining_s(now)
        set_aside_s = min(EACH_DEPENDENT_S * len(self.dependents), remaining_s / 2)
        return max(0.0, min(self.health_timeout_s, remaining_s - set_aside_s))


def finish_by(acknowledged_at: datetime) -> datetime:
    """When an update has to be done with that the server knows of since `acknowledged_at`."""
    return acknowledged_at + timedelta(seconds=SERVER_WAITS_S - MARGIN_S)


def lack_of_time(update: Update, now: datetime) -> str:
    """Why it is too late to begin with what can be undone only by another stop and start; "" if it is not."""
    remaining_s = update.remaining_s(now)
    stop_s = update.stop_timeout_s if update.was_running else 0
    if stop_s + SHORTEST_S <= remaining_s:
        return ""
    return (
        f"the pull took so long that only {max(0, int(remaining_s))} s of the server's patience are left, and "
        f"stopping alone may take {stop_s} s; update again: the image is here now"
    )


def completion(update: Update) -> Row:
    """The event that the server waits for. Its key is the same whichever process reports it."""
    payload: dict[str, Any] = {
        "old_container_id": update.container_id[:12],
        "new_container_id": update.new_id[:12],
        "container_name": update.name,
    }
    if update.failed_dependents:
        payload["failed_dependents"] = list(update.failed_dependents)
    return Row(f"update_complete:{update.command_id}", payload, kind="update_complete")


INTERRUPTED = "the agent was restarted before anything was changed; update again"
OUT_OF_TIME = "the agent was restarted, and the server no longer waits for this update"


def resumed(state: str, update: Update, now: datetime) -> tuple[str, Update]:
    """Where the next process goes on with an update that was in `state`, and what it then knows of it.

    Credentials are not written down and the acknowledgement may be lost, so before anything is touched it fails.
    Once the server has given up, the old container is what its records are about: it is put back.
    """
    match state:
        case "pulling" | "configuring":
            return "failed", replace(update, reason=INTERRUPTED)
        case "cleanup" | "rollback":
            return state, replace(update, trouble="", has_leftovers=False)
        case _ if update.remaining_s(now) <= 0:
            return "rollback", replace(update, reason=OUT_OF_TIME)
    return state, update


# Events


@dataclass(frozen=True, slots=True)
class ImagePulled(Event):
    image_id: str


@dataclass(frozen=True, slots=True)
class UpdatePlanned(Event):
    """It can be done, and undone. Nothing has been touched."""

    was_running: bool
    dependents: tuple[Dependent, ...]
    finish_by: datetime


@dataclass(frozen=True, slots=True)
class OldSetAside(Event): ...


@dataclass(frozen=True, slots=True)
class NewCreated(Event):
    new_id: str


@dataclass(frozen=True, slots=True)
class NewStarted(Event): ...


@dataclass(frozen=True, slots=True)
class NewIsWell(Event): ...


@dataclass(frozen=True, slots=True)
class DependentsMoved(Event):
    """All were tried; `failed` are the names of those that are not what they were."""

    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeftoversRemoved(Event): ...


@dataclass(frozen=True, slots=True)
class StepFailed(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class OldRestored(Event): ...


@dataclass(frozen=True, slots=True)
class RestoreFailed(Event):
    reason: str


class ContainerUpdate(ChartMachine):
    """`statecharts/container_update.toml` at work. Each activity's briefing is the update as far as it is known."""

    memory: Update

    def __init__(self, chart: Chart, update: Update, *, at: str | None = None) -> None:
        super().__init__(chart, at=at)
        self.memory = update

    def briefing(self, activity: str) -> Update:
        return self.memory

    # Guards named by the chart

    def old_one_ran(self, event: Event) -> bool:
        return self.memory.was_running

    def others_depend_on_it(self, event: Event) -> bool:
        return bool(self.memory.dependents)

    # Actions named by the chart

    def remember_image(self, event: Event) -> None:
        assert isinstance(event, ImagePulled)
        self.memory = replace(self.memory, new_image_id=event.image_id)

    def remember_plan(self, event: Event) -> None:
        assert isinstance(event, UpdatePlanned)
        self.memory = replace(
            self.memory,
            was_running=event.was_running,
            dependents=event.dependents,
            finish_by=event.finish_by,
        )

    def remember_new_one(self, event: Event) -> None:
        assert isinstance(event, NewCreated)
        self.memory = replace(self.memory, new_id=event.new_id)

    def remember_failed_dependents(self, event: Event) -> None:
        assert isinstance(event, DependentsMoved)
        self.memory = replace(self.memory, failed_dependents=event.failed)

    def remember_reason(self, event: Event) -> None:
        self.memory = replace(self.memory, reason=_reason(event))
        self.note("warning", f"the update of {self.memory.name} failed: {self.memory.reason}")

    def remember_trouble(self, event: Event) -> None:
        self.memory = replace(self.memory, trouble=_reason(event))
        self.note("error", f"{self.memory.name} could not be put back: {self.memory.trouble}")

    def leave_leftovers(self, event: Event) -> None:
        self.memory = replace(self.memory, has_leftovers=True)
        self.note("warning", f"{self.memory.backup_name} could not be removed: {_reason(event)}")


def _reason(event: Event) -> str:
    match event:
        case StepFailed(reason) | RestoreFailed(reason):
            return reason
        case DeadlinePassed(what):
            return f"it took too long to {what.replace('_', ' ')}"
        case Crashed(what, error):
            # The rest of the error is in the log: it is for us, and may hold what is not for everybody.
            return f"a defect of the agent in {what}: {error.partition(':')[0]}"
    raise AssertionError(f"{event.trigger} is no failure")
