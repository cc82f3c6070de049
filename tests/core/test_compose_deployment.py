"""The way of a deployment: what follows what, and which failure is told in the end."""

from __future__ import annotations

import pytest
from core.machines import arrived, compose_deployment
from playbook import Play

from agent.core.chart import Chart
from agent.core.compose.deployment import (
    Memory,
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
from agent.core.machine import (
    CancelActivity,
    Crashed,
    DeadlinePassed,
    StartActivity,
    StopRequested,
)

CHART = Chart.load("compose_deployment")


def test_up() -> None:
    """Read, stored, pulled, brought up, settled, seen, reported."""
    machine = compose_deployment()
    machine.begin()
    states = []
    for event in (
        *(StackValidated(), StackStored(), StackPulled(), StackBroughtUp(), StackSettled()),
        *(StackSeen({}), SuccessReported()),
    ):
        machine.handle(event)
        states.append(machine.state)
    assert states == [
        *("parsing", "pulling_image", "executing", "waiting_for_health", "health_check"),
        *("reporting", "completed"),
    ]


def test_down() -> None:
    """What is to go needs no images and no health."""
    machine = compose_deployment()
    machine.begin()
    for event in (StackValidated(), StackKept(), StackTakenDown(), StackSeen({})):
        machine.handle(event)
    assert machine.state == "reporting"


def test_what_did_not_come_up_is_looked_at_too() -> None:
    """After what is left of it is gone; the report is given the first thing that went wrong."""
    machine = arrived("compose_deployment", "executing")
    visit = machine.visit
    assert (
        Play(machine)
        >> StackFailed("port is already allocated")
        << CancelActivity(visit)
        << StartActivity("tear_down", visit + 1, 180.0, None)
        >> StackTornDown()
        << CancelActivity(visit + 1)
        << StartActivity("look", visit + 2, 120.0, None)
        >> StackFailed("the engine does not answer")
        << CancelActivity(visit + 2)
        << StartActivity("report", visit + 3, 86400.0, Memory("port is already allocated"))
    )


@pytest.mark.parametrize("state", ["validating", "parsing"])
@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (StackRejected("yaml: line 3"), "yaml: line 3"),
        (DeadlinePassed("validate"), "it took too long to read the project"),
        (Crashed("store", "KeyError"), "a defect of the agent kept it from going on (store)"),
    ],
)
def test_what_is_not_begun(state: str, event: StackRejected, reason: str) -> None:
    """Before the acknowledgement everything that goes wrong is the reply."""
    machine = arrived("compose_deployment", state)
    machine.handle(event)
    assert machine.state == "rejected"
    assert machine.memory.failure.startswith(reason)


@pytest.mark.parametrize(
    "state",
    ["pulling_image", "taking_down", "executing", "waiting_for_health", "tearing_down"],
)
def test_nothing_after_the_acknowledgement_ends_in_silence(state: str) -> None:
    """Too late, or a defect: whatever it is, the deployment is looked at and reported as failed."""
    does = CHART.states[state].does
    assert does is not None
    for event in (DeadlinePassed(does), Crashed(does, "KeyError")):
        machine = arrived("compose_deployment", state)
        machine.handle(event)
        if machine.state == "tearing_down":
            machine.handle(StackTornDown())
        machine.handle(StackSeen({}))
        assert machine.state == "reporting"
        assert machine.memory.failure


def test_events_tell_no_secrets() -> None:
    """What Compose says may quote the project; logs name the event alone."""
    assert str(StackFailed("invalid port hush")) == "stack_failed"
    assert str(StackRejected("invalid port hush")) == "stack_rejected"


@pytest.mark.parametrize("state", [name for name, each in CHART.states.items() if not each.final])
def test_a_stop_is_obeyed_anywhere(state: str) -> None:
    """What was under way is the next process's to report."""
    machine = arrived("compose_deployment", state)
    machine.handle(StopRequested("SIGTERM"))
    assert machine.state == "suspended"
