"""Deadlines of a release, without a second passing."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.launcher.ending import (
    AGAIN,
    ATTEMPT_FAILED,
    CRASH,
    EXIT,
    ROLL_BACK,
    Ended,
    follows,
    said,
)
from agent.launcher.state import MAX_ATTEMPTS
from agent.launcher.watch import GIVE_UP, KILL, NOTHING, TERMINATE, UNPROVEN, Limits, Watch
from agent.ports import Switch

LIMITS = Limits()


def looks(watch: Watch, until_s: float, *, since_s: float = 0.0) -> list[tuple[float, str]]:
    """What is due when, seen by one who sleeps as long as it may, and gives up when it is told to."""
    found: list[tuple[float, str]] = []
    now_s, action = since_s, NOTHING
    while now_s < until_s and action != GIVE_UP:
        now_s = max(watch.wakes_at(), now_s + 0.001)
        if (action := watch.look(now_s)) != NOTHING:
            found.append((round(now_s, 2), action))
    return found


def test_silence() -> None:
    """40 s without a heartbeat, 8 s of grace, 10 to be gone."""
    watch = Watch(LIMITS, 0.0)
    assert looks(watch, 20) == []
    watch.heard(20.0)
    assert looks(watch, 200, since_s=20) == [(60.0, TERMINATE), (68.0, KILL), (78.0, GIVE_UP)]
    assert watch.why == "gave no sign of life for 40 s"


def test_a_trial() -> None:
    """Heartbeats do not save a release that is not registered in time; being registered does."""
    late, kept = (Watch(LIMITS, 0.0, trial_s=30.0) for _ in range(2))
    assert looks(late, 100) == [(30.0, TERMINATE), (38.0, KILL), (48.0, GIVE_UP)]
    assert late.is_late
    kept.look(5.0)
    kept.registered()
    assert looks(kept, 34, since_s=5) == []


def test_the_proof_of_an_old_release() -> None:
    """Told once, and it goes on running."""
    watch = Watch(LIMITS, 0.0, proof_s=30.0)
    assert looks(watch, 34) == [(30.0, UNPROVEN)]


def test_a_drain() -> None:
    """An accepted switch is left within a minute."""
    watch = Watch(LIMITS.but(silence_s=1000.0), 0.0)
    watch.switching(0.0)
    assert looks(watch, 100) == [(60.0, TERMINATE), (68.0, KILL), (78.0, GIVE_UP)]


def test_told_to_stop() -> None:
    """The first word counts; the grace is not begun anew by the second."""
    watch = Watch(LIMITS, 0.0)
    assert watch.end(1.0, "was told to stop") == TERMINATE
    assert watch.end(5.0, "was told to stop") == NOTHING
    assert looks(watch, 50, since_s=5) == [(9.0, KILL), (19.0, GIVE_UP)]


def test_a_pause_is_nobodys_silence() -> None:
    """A container that was paused for an hour finds its release as it was."""
    watch = Watch(LIMITS, 0.0, trial_s=30.0)
    watch.look(5.0)
    assert watch.look(3605.0) == NOTHING
    found = looks(watch, 3700, since_s=3605.0)
    assert [action for _, action in found] == [TERMINATE, KILL, GIVE_UP]
    assert found[0][0] == pytest.approx(
        3620.0
    )  # 30 s, of which it had 5, and 10 are the launcher's own


@given(st.lists(st.floats(0.01, 500), max_size=30), st.booleans())
def test_it_always_ends(gaps: list[float], registers: bool) -> None:
    """Whenever it is looked at: one that is silent is first terminated, then killed, each once, then given up."""
    watch = Watch(LIMITS, 0.0, trial_s=90.0)
    if registers:
        watch.registered()
    now_s, actions = 0.0, []
    for gap in gaps + [5.0] * 60:
        now_s += gap
        assert watch.wakes_at() <= now_s + LIMITS.grace_s
        actions.append(watch.look(now_s))
    terminate, kill, *rest = (action for action in actions if action != NOTHING)
    assert (terminate, kill, {*rest}) == (TERMINATE, KILL, {GIVE_UP})


SEGV, TERM, KILLED = (-int(each) for each in (signal.SIGSEGV, signal.SIGTERM, signal.SIGKILL))


@pytest.mark.parametrize(
    ("ended", "then"),
    [
        (Ended(0, on_trial=False), (EXIT, 0)),
        (Ended(78, on_trial=False), (EXIT, 78)),
        (Ended(3, on_trial=False), (CRASH, 3)),
        (Ended(SEGV, on_trial=False), (CRASH, 139)),
        (Ended(0, on_trial=False, why="gave no sign of life"), (CRASH, 1)),
        (Ended(0, on_trial=False, is_switching=True), (AGAIN, 0)),
        (Ended(3, on_trial=False, is_switching=True), (AGAIN, 0)),
        (Ended(0, on_trial=True), (ATTEMPT_FAILED, 0)),
        (Ended(78, on_trial=True), (ATTEMPT_FAILED, 0)),
        (Ended(TERM, on_trial=True, is_late=True, why="late"), (ROLL_BACK, 0)),
        (Ended(3, on_trial=True, is_registered=True), (CRASH, 3)),
        (Ended(0, on_trial=True, is_registered=True), (EXIT, 0)),
        (Ended(0, on_trial=True, is_stopping=True, why="was told to stop"), (EXIT, 0)),
        (Ended(TERM, on_trial=False, is_stopping=True, why="was told to stop"), (EXIT, 143)),
        (Ended(KILLED, on_trial=False, is_stuck=True, why="gave no sign of life"), (CRASH, 137)),
    ],
)
def test_what_follows_an_end(ended: Ended, then: tuple[str, int]) -> None:
    """Each way to end has one consequence."""
    assert follows(ended) == then


def test_ends_in_words() -> None:
    """What ended it, and how."""
    assert said(Ended(3, on_trial=True)) == "exited with 3"
    assert said(Ended(SEGV, on_trial=True)) == "ended by SIGSEGV"
    assert said(Ended(-200, on_trial=True, why="was late")) == "was late (ended by signal 200)"


def test_the_worst_rollback() -> None:
    """Each attempt ends just before it would be late, the last one not even at SIGTERM: the server waits 300 s."""
    trial_s = Switch("ab" * 32, "3.1.0", "c-1", "self_update", needs_engine=True).deadline_s
    now_s = 0.0
    for _ in range(MAX_ATTEMPTS):
        watch = Watch(LIMITS, now_s, trial_s=trial_s)
        late_at = now_s + trial_s
        while now_s < late_at:
            watch.heard(now_s)
            assert watch.look(now_s) == NOTHING
            now_s += 5.0
    assert watch.look(now_s) == TERMINATE
    while watch.look(now_s) != KILL:
        now_s += 1.0
    assert now_s < 300.0
