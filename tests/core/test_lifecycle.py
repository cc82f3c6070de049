"""The agent's decisions, as dialogues: what happened, and what is then to be done.

Delays are as long as they may be, so that a ceiling can be read off them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from core.machines import BROKEN, EVENTS, arrived, lifecycle
from playbook import Play

from agent.core.chart import Chart
from agent.core.failures import Refusal
from agent.core.lifecycle import (
    AttemptFailed,
    CredentialsChanged,
    EngineKnown,
    Evicted,
    LinkLost,
    Reason,
    Refused,
    Registered,
    RetryDue,
    ServerSilent,
    UpdateFailed,
    UpdateRequest,
    UpdateRequested,
    UpdateStaged,
)
from agent.core.machine import (
    Acquire,
    CancelActivity,
    Crashed,
    DeadlinePassed,
    Event,
    Generation,
    Note,
    Release,
    StartActivity,
    StopRequested,
    Visit,
)

REFUSAL = Refusal("Invalid registration token", permanent=True)
UPDATE = UpdateRequest("c-1", "dockmon-agent:4.0.0", "4.0.0")
OTHER_UPDATE = UpdateRequest("c-2", "dockmon-agent:4.1.0", "4.1.0")

REGISTERED = Registered("host-1", "agent-1")
CONNECTED = (EngineKnown(), REGISTERED)
UPDATING = (*CONNECTED, UpdateRequested(UPDATE))

STATES = tuple(Chart.load("lifecycle").states)
LIVING = tuple(state for state in STATES if state != "stopped")


# Getting in


def test_first_registration() -> None:
    """Nothing is dialled before the engine is known, and everything a session is for starts with it."""
    assert (
        Play(lifecycle()).begin()
        << StartActivity("await_reason", 1, None, Reason(refusal=None, retry_in_s=None))
        >> EngineKnown()
        << CancelActivity(1)
        << Acquire("session", 1)
        << StartActivity("register", 2, 60.0)
        >> REGISTERED
        << CancelActivity(2)
        << Acquire("event_stream", 2)
        << Acquire("commands", 3)
        << Acquire("telemetry", 4)
        << Acquire("health_checks", 5)
        << Acquire("shells", 6)
        << StartActivity("stay", 3)
    )


def test_outage_then_recovery() -> None:
    """All is released, each wait may be twice as long as the one before, and then all is back under new generations."""
    assert (
        Play(lifecycle()).begin().through(*CONNECTED)
        >> LinkLost(BROKEN, lasted_s=3600.0)
        << CancelActivity(3)
        << Release("shells", 6)
        << Release("health_checks", 5)
        << Release("telemetry", 4)
        << Release("commands", 3)
        << Release("event_stream", 2)
        << Release("session", 1)
        << StartActivity("await_retry", 4, None, 1.0)
        >> RetryDue()
        << CancelActivity(4)
        << Acquire("session", 7)
        << StartActivity("register", 5, 60.0)
        >> AttemptFailed(BROKEN)
        << CancelActivity(5)
        << Release("session", 7)
        << StartActivity("await_retry", 6, None, 2.0)
        >> RetryDue()
        << CancelActivity(6)
        << Acquire("session", 8)
        << StartActivity("register", 7, 60.0)
        >> REGISTERED
        << CancelActivity(7)
        << Acquire("event_stream", 9)
        << Acquire("commands", 10)
        << Acquire("telemetry", 11)
        << Acquire("health_checks", 12)
        << Acquire("shells", 13)
        << StartActivity("stay", 8)
    )


def test_refused_for_good_then_new_credentials() -> None:
    """Only a change, or ten minutes, is worth another try; being let in ends the matter."""
    play = Play(lifecycle()).begin().through(EngineKnown())
    assert (
        play
        >> Refused(REFUSAL)
        << CancelActivity(2)
        << Release("session", 1)
        << StartActivity("await_reason", 3, None, Reason(REFUSAL, retry_in_s=600.0))
        >> CredentialsChanged()
        << CancelActivity(3)
        << Acquire("session", 2)
        << StartActivity("register", 4, 60.0)
    )
    play.through(REGISTERED)
    assert play.machine.memory.refusal is None


def test_refused_for_good_and_nobody_does_anything() -> None:
    """The slow retry asks again, and the next refusal is waited out as long as the first."""
    assert (
        Play(lifecycle()).begin().through(EngineKnown(), Refused(REFUSAL))
        >> RetryDue()
        << CancelActivity(3)
        << Acquire("session", 2)
        << StartActivity("register", 4, 60.0)
        >> Refused(REFUSAL)
        << CancelActivity(4)
        << Release("session", 2)
        << StartActivity("await_reason", 5, None, Reason(REFUSAL, retry_in_s=600.0))
    )


# How long to wait


def delays_s(*ends: Event) -> Iterator[float]:
    """How long is waited after each of these, the agent getting in again and again between them."""
    machine = lifecycle()
    machine.begin()
    machine.handle(EngineKnown())
    for end in ends:
        if not isinstance(end, AttemptFailed):
            machine.handle(REGISTERED)
        *_, waiting = machine.handle(end)
        assert isinstance(waiting, StartActivity)
        assert isinstance(waiting.briefing, float)
        yield waiting.briefing
        machine.handle(RetryDue())


def test_the_ceiling_doubles_while_attempts_fail() -> None:
    """From RECONNECT_INITIAL to RECONNECT_MAX, and it stays there."""
    attempts = [AttemptFailed(BROKEN)] * 8
    assert list(delays_s(*attempts)) == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


@pytest.mark.parametrize(("lasted_s", "delay_s"), [(59.9, 8.0), (60.0, 1.0), (86_400.0, 1.0)])
@pytest.mark.parametrize("end", [LinkLost, ServerSilent])
def test_a_session_that_lasted_resets_the_delay(
    end: type[LinkLost | ServerSilent], lasted_s: float, delay_s: float
) -> None:
    """A minute is a good session; a server that lets us in and falls over does not count as one."""
    ended = LinkLost(BROKEN, lasted_s) if end is LinkLost else ServerSilent(lasted_s)
    *_, last = delays_s(*[AttemptFailed(BROKEN)] * 3, ended)
    assert last == delay_s


def test_sessions_that_do_not_last_are_failures() -> None:
    """Let in and cut off at once, over and over: never a tight loop."""
    assert list(delays_s(*[LinkLost(BROKEN, 5.0)] * 4)) == [1.0, 2.0, 4.0, 8.0]


def test_eviction_is_not_an_outage() -> None:
    """Another agent of this name is at work: come back seldom, and tell the operator."""
    assert (
        Play(lifecycle()).begin().through(*CONNECTED)
        >> Evicted(lasted_s=5.0)
        << CancelActivity(3)
        << Release("shells", 6)
        << Release("health_checks", 5)
        << Release("telemetry", 4)
        << Release("commands", 3)
        << Release("event_stream", 2)
        << Release("session", 1)
        << Note("warning", "another agent connected as this host; stop one of the two")
        << StartActivity("await_retry", 4, None, 60.0)
    )


@pytest.mark.parametrize(
    ("ends", "expected_s"),
    [
        pytest.param([Evicted(5.0)] * 6, [60, 120, 240, 480, 600, 600], id="doubles to 10 min"),
        pytest.param([Evicted(599.0)] * 2, [60, 120], id="a session in between changes nothing"),
        pytest.param([Evicted(5.0), Evicted(600.0)], [60, 60], id="unless it lasted 10 min"),
        pytest.param(
            [Evicted(5.0), LinkLost(BROKEN, 599.0), Evicted(5.0)],
            [60, 1, 120],
            id="nor does an outage in between",
        ),
        pytest.param(
            [Evicted(5.0), LinkLost(BROKEN, 600.0), Evicted(5.0)],
            [60, 1, 60],
            id="unless after a session of 10 min",
        ),
        pytest.param(
            [*[AttemptFailed(BROKEN)] * 3, Evicted(5.0), LinkLost(BROKEN, 5.0)],
            [1, 2, 4, 60, 1],
            id="the server works: failures are forgotten",
        ),
    ],
)
def test_returning_after_evictions(ends: list[Event], expected_s: list[float]) -> None:
    """The ceiling starts at a minute and doubles to ten; ten quiet minutes settle the quarrel."""
    assert list(delays_s(*ends)) == expected_s


# Updating


def test_an_update_begins_and_everything_goes_on() -> None:
    """Only the update itself is new: the server is not left for it."""
    assert (
        Play(lifecycle()).begin().through(*CONNECTED)
        >> UpdateRequested(UPDATE)
        << CancelActivity(3)
        << Acquire("self_update", 7)
        << StartActivity("follow_update", 4, 1500.0, UPDATE)
    )


def test_an_update_during_an_update_is_declined() -> None:
    """The first one goes on undisturbed: nothing is cancelled, nothing begun, nothing forgotten."""
    play = Play(lifecycle()).begin().through(*UPDATING)
    assert (
        play
        >> UpdateRequested(OTHER_UPDATE)
        << Note("warning", "no update can begin in state updating; it is declined")
    )
    assert (play.machine.state, play.machine.visit) == ("updating", 4)
    assert play.machine.memory.update == UPDATE


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (UpdateFailed("the signature is not ours"), "the signature is not ours"),
        (DeadlinePassed("follow_update"), "it took too long"),
    ],
    ids=["failed", "too slow"],
)
def test_a_failed_update_keeps_the_session(end: Event, why: str) -> None:
    """The old release goes on as if nothing had been; only the update's own means are given back."""
    play = Play(lifecycle()).begin().through(*UPDATING)
    assert (
        play
        >> end
        << CancelActivity(4)
        << Release("self_update", 7)
        << Note("error", f"self-update failed: {why}; this release goes on")
        << StartActivity("stay", 5)
    )
    assert play.machine.memory.update is None


def test_a_staged_update_ends_this_release() -> None:
    """Everything is released, newest first, and nothing starts: the launcher runs the next release."""
    play = Play(lifecycle()).begin().through(*UPDATING)
    assert (
        play
        >> UpdateStaged("4.0.0")
        << CancelActivity(4)
        << Release("self_update", 7)
        << Release("shells", 6)
        << Release("health_checks", 5)
        << Release("telemetry", 4)
        << Release("commands", 3)
        << Release("event_stream", 2)
        << Release("session", 1)
    )
    assert play.machine.finished


@pytest.mark.parametrize(
    "end",
    [LinkLost(BROKEN, 3600.0), Evicted(3600.0), Crashed("self_update", "OSError: no space left")],
    ids=lambda event: event.trigger,
)
def test_an_update_ends_with_the_link(end: Event) -> None:
    """It is cancelled, everything is released, and what comes back knows of no update in progress."""
    play = Play(lifecycle()).begin().through(*UPDATING)
    cancelled, *released = [
        effect for effect in play.machine.handle(end) if not isinstance(effect, Note)
    ][:-1]
    assert cancelled == CancelActivity(4)
    assert released == [
        Release("self_update", 7),
        Release("shells", 6),
        Release("health_checks", 5),
        Release("telemetry", 4),
        Release("commands", 3),
        Release("event_stream", 2),
        Release("session", 1),
    ]
    assert play.machine.state == "backoff"
    assert play.machine.memory.update is None


# What may happen anywhere


@pytest.mark.parametrize(
    ("state", "leads_to"),
    [("registering", "backoff"), ("updating", "connected")],
)
def test_a_deadline_always_leads_somewhere(state: str, leads_to: str) -> None:
    """A registration that hangs is tried again later, an update that hangs is given up."""
    machine = arrived("lifecycle", state)
    *_, begun = machine.handle(DeadlinePassed(str(machine.chart.states[state].does)))
    assert machine.state == leads_to
    assert isinstance(begun, StartActivity)


@pytest.mark.parametrize("state", LIVING)
def test_a_defect_is_waited_out_anywhere(state: str) -> None:
    """Whatever crashes, everything is given back and a new attempt is planned."""
    machine = arrived("lifecycle", state)
    *_, begun = machine.handle(Crashed("something", "ValueError: a defect"))
    assert machine.state == "backoff"
    assert begun == StartActivity("await_retry", machine.visit, None, machine.memory.delay_s)
    assert not machine.held


def test_a_defect_that_repeats_is_retried_seldom() -> None:
    """An agent that crashes right after each connect does not spin."""
    crash = Crashed("telemetry", "ValueError: a defect")
    assert list(delays_s(crash, crash, crash)) == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("state", LIVING)
def test_a_stop_is_obeyed_anywhere(state: str) -> None:
    """The activity is cancelled, what is held is released newest first, nothing begins."""
    machine = arrived("lifecycle", state)
    cancelled = CancelActivity(machine.visit)
    released = [Release(name, number) for name, number in reversed(machine.held.items())]
    assert machine.handle(StopRequested("SIGTERM")) == [cancelled, *released]
    assert machine.finished
    assert not machine.held


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())
def test_stopped_is_the_end(event: Event) -> None:
    """Nothing wakes an agent that has stopped."""
    assert Play(arrived("lifecycle", "stopped")).refuses(event)


# Late answers


def test_a_resource_outlives_the_states_that_keep_it() -> None:
    """A session dialled while registering is listened to while connected and updating: same generation, new visits."""
    play = Play(lifecycle()).begin().through(EngineKnown())
    session, visits = Generation("session", 1), [play.machine.visit]
    for event in (
        REGISTERED,
        UpdateRequested(UPDATE),
        UpdateFailed("no"),
        UpdateRequested(UPDATE),
    ):
        play.through(event)
        assert play.machine.expects(session)
        visits.append(play.machine.visit)
    assert visits == [2, 3, 4, 5, 6]


def test_a_late_answer_is_not_expected() -> None:
    """Neither an activity's after its state was left, nor a resource's after it was released."""
    machine = lifecycle()
    machine.begin()
    machine.handle(EngineKnown())
    registering, session = Visit(machine.visit), Generation("session", machine.held["session"])
    assert machine.expects(registering)
    assert machine.expects(session)
    machine.handle(AttemptFailed(BROKEN))
    machine.handle(RetryDue())
    assert machine.state == "registering"
    assert not machine.expects(registering)
    assert not machine.expects(session)


def test_what_comes_from_outside_is_never_late() -> None:
    """A signal carries no ticket."""
    assert arrived("lifecycle", "backoff").expects(None)
