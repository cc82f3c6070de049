"""What updating the agent decides: what is remembered for whoever cleans up, and what a late cancel may still do."""

from __future__ import annotations

import pytest
from core.machines import RUNNING_BUILD, arrived, self_update

from agent.core.machine import Crashed, DeadlinePassed, Event, StopRequested
from agent.core.self_update import (
    Checked,
    Cleaned,
    Drained,
    FitToRun,
    Installed,
    Prepared,
    Pulled,
    ReadyToSwitch,
    ReleaseHere,
    Resolved,
    RunsAlready,
    SelfUpdateMachine,
    UpdateCancelled,
    UpdateStepFailed,
    Verified,
)

TAG, DIGEST = "registry.test/agent:3.1.0", "registry.test/agent@sha256:" + "1b" * 32
WAY: list[Event] = [
    Prepared(),
    Resolved(DIGEST, was_there=False),
    Pulled(DIGEST, was_there=False),
    Checked("3.1.0"),
    ReleaseHere("staging-1"),
    Verified("2c" * 32, "3.1.0"),
    Installed(was_there=False),
    FitToRun(),
    ReadyToSwitch(),
    Drained(),
]


def played(*events: Event) -> SelfUpdateMachine:
    machine = self_update()
    machine.begin()
    for event in events:
        machine.handle(event)
    return machine


def test_what_is_remembered_on_the_way() -> None:
    """All that a switch needs, and all that has to be removed if there is none."""
    update = played(*WAY).memory
    assert (update.image, update.image_was_there) == (DIGEST, False)
    assert (update.staging, update.build_id, update.version) == ("staging-1", "2c" * 32, "3.1.0")
    assert (update.slot_was_there, update.may_be_switched, update.reason) == (False, False, "")


def test_a_slot_that_is_not_ours_is_not_removed() -> None:
    """Before anything was installed there is nothing to remove, and what was there stays."""
    assert self_update().memory.slot_was_there
    assert played(*WAY[:6], Installed(was_there=True)).memory.slot_was_there


@pytest.mark.parametrize(
    ("event", "is_open"),
    [
        (UpdateStepFailed("the launcher refused it"), False),
        (UpdateStepFailed("no answer", is_open=True), True),
        (DeadlinePassed("switch"), True),
        (Crashed("switch", "ValueError: x"), True),
    ],
)
def test_a_switch_that_may_have_happened(event: Event, is_open: bool) -> None:
    """Where the launcher's answer is not known, the slot may be on trial and is kept."""
    machine = played(*WAY, event)
    assert (machine.state, machine.memory.may_be_switched) == ("cleaning", is_open)
    assert machine.memory.reason


@pytest.mark.parametrize("event", [DeadlinePassed("pull"), Crashed("pull", "ValueError: x")])
def test_a_step_that_fails_earlier(event: Event) -> None:
    """Nothing was asked of the launcher, so nothing is kept."""
    machine = played(*WAY[:2], event)
    assert (machine.state, machine.memory.may_be_switched) == ("cleaning", False)


def test_a_cancel_before_the_switch() -> None:
    """It is cleaned up, and ends as what it is."""
    machine = played(*WAY[:8], UpdateCancelled("the link was lost"), Cleaned())
    assert (machine.state, machine.memory.reason) == ("cancelled", "the link was lost")


@pytest.mark.parametrize("state", ["switching", "cleaning", "dismissing"])
def test_a_cancel_that_is_late(state: str) -> None:
    """The launcher may have said yes, or it is cleaned up already: nothing moves."""
    machine = arrived("self_update", state)
    machine.handle(UpdateCancelled("the link was lost"))
    assert machine.state == state


def test_the_release_that_runs() -> None:
    """What arrived is removed, and that is a good end."""
    machine = played(*WAY[:5], RunsAlready(RUNNING_BUILD, "3.0.0"), Cleaned())
    assert (machine.state, machine.memory.reason) == ("unneeded", "")


def test_a_stop_on_the_way() -> None:
    """There is no time to clean up; whoever starts next does."""
    machine = played(*WAY[:3], StopRequested("SIGTERM"))
    assert machine.state == "cancelled"
    assert "update again" in machine.memory.reason


def test_the_first_reason_counts() -> None:
    """A clean-up that takes too long is not why it failed."""
    machine = played(*WAY[:2], UpdateStepFailed("no such image"), DeadlinePassed("clean_up"))
    assert (machine.state, machine.memory.reason) == ("failed", "no such image")
