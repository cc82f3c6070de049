"""The way from one container to its successor, as dialogues: what happened, and what is then to be done."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from core.machines import BEGAN_AT, EVENTS, SIDECAR, UPDATE_OF_WEB, arrived, container_update
from playbook import Play

from agent.core.chart import Chart
from agent.core.container_update import (
    INTERRUPTED,
    OUT_OF_TIME,
    ContainerUpdate,
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
    completion,
    finish_by,
    lack_of_time,
    resumed,
)
from agent.core.machine import (
    CancelActivity,
    Crashed,
    DeadlinePassed,
    Event,
    Note,
    StartActivity,
    StopRequested,
)

PULLED = ImagePulled("sha256:" + "1b" * 32)
NEW_ID = "3e" * 32
FINISH_BY = BEGAN_AT + timedelta(seconds=285)

ALONE = UpdatePlanned(was_running=True, dependents=(), finish_by=FINISH_BY)
STOPPED = UpdatePlanned(was_running=False, dependents=(), finish_by=FINISH_BY)

UNTOUCHED = ("pulling", "configuring")
UNDOABLE = ("backup", "creating", "starting", "health_check", "dependents")

CHART = Chart.load("container_update")
LIVING = tuple(name for name, state in CHART.states.items() if not state.final)


def known(**more: Any) -> Update:
    return replace(UPDATE_OF_WEB, **more)


# The way there


def test_a_running_container() -> None:
    """Each step begins with all that is known by then; at the end nothing is at work."""
    pulled = known(new_image_id=PULLED.image_id)
    planned = replace(pulled, was_running=True, finish_by=FINISH_BY)
    created = replace(planned, new_id=NEW_ID)
    assert (
        Play(container_update()).begin()
        << StartActivity("pull", 1, 370.0, UPDATE_OF_WEB)
        >> PULLED
        << CancelActivity(1)
        << StartActivity("plan", 2, 60.0, pulled)
        >> ALONE
        << CancelActivity(2)
        << StartActivity("set_aside", 3, 240.0, planned)
        >> OldSetAside()
        << CancelActivity(3)
        << StartActivity("create", 4, 90.0, planned)
        >> NewCreated(NEW_ID)
        << CancelActivity(4)
        << StartActivity("start", 5, 60.0, created)
        >> NewStarted()
        << CancelActivity(5)
        << StartActivity("watch_health", 6, 300.0, created)
        >> NewIsWell()
        << CancelActivity(6)
        << StartActivity("clean_up", 7, 30.0, created)
        >> LeftoversRemoved()
        << CancelActivity(7)
    )


def test_a_stopped_container() -> None:
    """Its successor is not started, so there is no health to wait for."""
    machine = container_update()
    play = Play(machine).begin().through(PULLED, STOPPED, OldSetAside(), NewCreated(NEW_ID))
    assert machine.state == "cleanup"
    play.through(LeftoversRemoved())
    assert machine.state == "completed"


@pytest.mark.parametrize(
    ("was_running", "way"),
    [(True, (NewCreated(NEW_ID), NewStarted(), NewIsWell())), (False, (NewCreated(NEW_ID),))],
)
def test_a_container_that_others_depend_on(was_running: bool, way: tuple[Event, ...]) -> None:
    """They follow once the new one is well, or made where it is not to run; those that did not are remembered."""
    machine = container_update()
    planned = UpdatePlanned(was_running, (SIDECAR,), FINISH_BY)
    play = Play(machine).begin().through(PULLED, planned, OldSetAside(), *way)
    assert machine.state == "dependents"
    play.through(DependentsMoved(failed=("sidecar",)))
    assert machine.state == "cleanup"
    assert machine.memory.failed_dependents == ("sidecar",)


# What fails


@pytest.mark.parametrize("state", UNTOUCHED)
@pytest.mark.parametrize("event", ["step_failed", "deadline_passed", "crashed"])
def test_a_failure_before_anything_is_touched(state: str, event: str) -> None:
    """There is nothing to put back."""
    machine = arrived("container_update", state)
    machine.handle(EVENTS[event])
    assert machine.state == "failed"


@pytest.mark.parametrize("state", UNDOABLE)
@pytest.mark.parametrize("event", ["step_failed", "deadline_passed", "crashed"])
def test_a_failure_on_the_way(state: str, event: str) -> None:
    """Everything becomes what it was."""
    machine = arrived("container_update", state)
    machine.handle(EVENTS[event])
    assert machine.state == "rollback"


@pytest.mark.parametrize("event", ["step_failed", "deadline_passed", "crashed"])
def test_what_cannot_be_cleaned_up(event: str) -> None:
    """The new container is at work, so the update is complete; that something is left over is remembered."""
    machine = arrived("container_update", "cleanup")
    machine.handle(EVENTS[event])
    assert machine.state == "completed"
    assert machine.memory.has_leftovers


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (OldRestored(), "rolled_back"),
        (RestoreFailed("the name is taken"), "stranded"),
        (DeadlinePassed("roll_back"), "stranded"),
        (Crashed("roll_back", "ValueError: 'x'"), "stranded"),
    ],
)
def test_the_way_back(event: Event, state: str) -> None:
    """It leads to what was, or somebody has to look."""
    machine = arrived("container_update", "rollback")
    machine.handle(event)
    assert machine.state == state


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (StepFailed("no such image"), "no such image"),
        (DeadlinePassed("watch_health"), "it took too long to watch health"),
        (Crashed("create", "KeyError: 'secret'"), "a defect of the agent in create: KeyError"),
    ],
)
def test_why_it_failed(event: Event, reason: str) -> None:
    """For users: what to them is a reason, and of a defect of ours no more than that it is one."""
    machine = container_update()
    assert (
        Play(machine).begin().through(PULLED, ALONE)
        >> event
        << CancelActivity(3)
        << Note("warning", f"the update of web failed: {reason}")
        << StartActivity("roll_back", 4, 180.0, machine.memory)
    )
    assert machine.memory.reason == reason


def test_trouble_does_not_hide_the_reason() -> None:
    """Both are known: why it failed, and why the old container could not be put back."""
    machine = container_update()
    machine.begin()
    for event in (PULLED, ALONE, StepFailed("no room"), RestoreFailed("the name is taken")):
        machine.handle(event)
    assert (machine.memory.reason, machine.memory.trouble) == ("no room", "the name is taken")


@pytest.mark.parametrize("state", LIVING)
def test_a_stop_on_the_way(state: str) -> None:
    """It is left as it is: the next process reads where it was."""
    machine = arrived("container_update", state)
    before = machine.memory
    machine.handle(StopRequested("SIGTERM"))
    assert (machine.state, machine.memory) == ("suspended", before)


# The next process

PLANNED = known(was_running=True, finish_by=FINISH_BY)


@pytest.mark.parametrize("state", UNTOUCHED)
def test_one_that_had_touched_nothing(state: str) -> None:
    """It fails: the credentials for the pull are gone, and nobody knows whether the server was answered."""
    assert resumed(state, UPDATE_OF_WEB, BEGAN_AT) == ("failed", known(reason=INTERRUPTED))


@pytest.mark.parametrize("state", UNDOABLE)
def test_one_that_is_still_awaited(state: str) -> None:
    """It goes on where it was."""
    assert resumed(state, PLANNED, FINISH_BY - timedelta(seconds=1)) == (state, PLANNED)


@pytest.mark.parametrize("state", UNDOABLE)
def test_one_that_is_awaited_no_longer(state: str) -> None:
    """The server took it for failed and knows the old container only: that is put back."""
    assert resumed(state, PLANNED, FINISH_BY) == ("rollback", replace(PLANNED, reason=OUT_OF_TIME))


@pytest.mark.parametrize("state", ["cleanup", "rollback"])
def test_one_that_leads_to_one_end(state: str) -> None:
    """It is brought there, however late; what went wrong at the last try is tried again."""
    late = FINISH_BY + timedelta(days=1)
    left = replace(PLANNED, trouble="the name is taken", has_leftovers=True)
    assert resumed(state, left, late) == (state, PLANNED)


@pytest.mark.parametrize("state", [*UNDOABLE, "cleanup", "rollback"])
def test_a_machine_that_goes_on(state: str) -> None:
    """It begins with what that state does, and with all that was known."""
    machine = ContainerUpdate(CHART, PLANNED, at=state)
    (effect,) = machine.begin()
    assert isinstance(effect, StartActivity)
    assert (effect.activity, effect.briefing) == (CHART.states[state].does, PLANNED)


# Time


def test_when_it_has_to_be_finished() -> None:
    """A quarter of a minute before the server gives up, which is five minutes after the acknowledgement."""
    assert finish_by(BEGAN_AT) == BEGAN_AT + timedelta(seconds=285)


@pytest.mark.parametrize(
    ("was_running", "stop_timeout_s", "left_s", "is_enough"),
    [
        (True, 30, 60, True),
        (True, 30, 59, False),
        (True, 180, 211, True),
        (False, 180, 30, True),
        (False, 30, 29, False),
        (True, 30, -5, False),
    ],
)
def test_whether_there_is_time_to_begin(
    was_running: bool, stop_timeout_s: int, left_s: int, is_enough: bool
) -> None:
    """Stopping as long as the container may take, and half a minute for the rest. If not, the text says what to do."""
    update = known(was_running=was_running, stop_timeout_s=stop_timeout_s, finish_by=FINISH_BY)
    why = lack_of_time(update, FINISH_BY - timedelta(seconds=left_s))
    assert (why == "") is is_enough
    if why:
        assert f"only {max(0, left_s)} s" in why
        assert "update again" in why


@pytest.mark.parametrize(
    ("left_s", "dependents", "health_s"),
    [(285, 0, 120), (100, 0, 100), (100, 2, 70), (100, 20, 50), (-1, 0, 0)],
)
def test_how_long_it_may_take_to_be_well(left_s: int, dependents: int, health_s: int) -> None:
    """As long as was asked for, cut to what the server waits, with some time for each that follows."""
    update = known(finish_by=FINISH_BY, dependents=(SIDECAR,) * dependents)
    assert update.health_s(FINISH_BY - timedelta(seconds=left_s)) == health_s


# What is told


def test_names_on_the_way() -> None:
    """The server knows the infix of the backup; the number is the instant at which it all began."""
    assert UPDATE_OF_WEB.backup_name == "web-dockmon-backup-1767225600"
    assert UPDATE_OF_WEB.aside_name(SIDECAR) == "sidecar-dockmon-temp-1767225600"


def test_what_it_works_on() -> None:
    """Every container it will touch, by everything it may be called on the way."""
    update = known(new_id=NEW_ID, dependents=(SIDECAR,))
    assert set(update.references()) == {
        *(update.container_id, "web", update.backup_name, NEW_ID),
        *(SIDECAR.id, "sidecar", update.aside_name(SIDECAR)),
    }


def test_the_completion() -> None:
    """Short IDs; containers that did not follow are named, and not mentioned where there are none."""
    row = completion(known(new_id=NEW_ID))
    assert row.key == "update_complete:c-3"
    assert row.kind == "update_complete"
    assert row.payload == {
        "old_container_id": "0d" * 6,
        "new_container_id": "3e" * 6,
        "container_name": "web",
    }
    failed = completion(known(new_id=NEW_ID, failed_dependents=("sidecar",)))
    assert failed.payload == {**row.payload, "failed_dependents": ["sidecar"]}
    assert failed.key == row.key
