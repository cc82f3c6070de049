"""When a container that was just started counts as well: timelines of what the engine says of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.health_rule import (
    CRASHES_ARE_A_LOOP,
    LOOK_EVERY_S,
    STEADY_AFTER_CRASH_S,
    STEADY_S,
    HealthWatch,
    Healthy,
    Unhealthy,
    Verdict,
)

Json = dict[str, Any]
Look = tuple[float, Json, int]


def running(started_at: str = "12:00:00", *, health: str | None = None) -> Json:
    state: Json = {"Status": "running", "Running": True, "ExitCode": 0, "StartedAt": started_at}
    return state | ({} if health is None else {"Health": {"Status": health}})


def restarting(exit_code: int = 1) -> Json:
    """As the engine puts it: running and restarting at once."""
    return {"Status": "restarting", "Running": True, "Restarting": True, "ExitCode": exit_code}


def exited(exit_code: int | None, **more: Any) -> Json:
    return {"Status": "exited", "Running": False, "ExitCode": exit_code, **more}


PAUSED: Json = {"Status": "paused", "Running": True, "Paused": True, "StartedAt": "12:00:00"}


def watch(*looks: Look, timeout_s: float = 120, policy: str = "always") -> list[Verdict | None]:
    """What each look comes to, until there is a verdict."""
    health = HealthWatch(timeout_s=timeout_s, restart_policy=policy)
    verdicts: list[Verdict | None] = []
    for at_s, state, restart_count in looks:
        verdicts.append(health.look(state, restart_count, at_s))
        if verdicts[-1] is not None:
            break
    return verdicts


def verdict(*looks: Look, timeout_s: float = 120, policy: str = "always") -> Verdict | None:
    return watch(*looks, timeout_s=timeout_s, policy=policy)[-1]


# --- Without a HEALTHCHECK


def test_it_has_to_run_for_a_while() -> None:
    """Running at the first look says little; running without a break does."""
    looks = [(100 + at_s, running(), 0) for at_s in (0.0, 2.0, STEADY_S - 0.1, STEADY_S)]
    assert watch(*looks) == [None, None, None, Healthy()]


def test_a_health_check_that_was_switched_off() -> None:
    """`--no-healthcheck` is none, and Podman says "" for none."""
    for nothing in ("none", ""):
        looks = [(at_s, running(health=nothing), 0) for at_s in (0.0, STEADY_S)]
        assert watch(*looks) == [None, Healthy()]


def test_less_time_than_it_takes() -> None:
    """Whoever grants 3 s gets a verdict after 3 s."""
    assert watch((0, running(), 0), (3, running(), 0), timeout_s=3) == [None, Healthy()]


@pytest.mark.parametrize("policy", ["", "no", "on-failure"])
def test_a_job_that_is_done(policy: str) -> None:
    """It exited with 0, and nobody wants it to run again."""
    assert watch((0, running(), 0), (1, exited(0), 0), policy=policy) == [None, Healthy()]


@pytest.mark.parametrize(
    ("state", "policy", "reason"),
    [
        (exited(0), "always", "it exited with code 0"),
        (exited(0), "unless-stopped", "it exited with code 0"),
        (exited(1), "no", "it exited with code 1"),
        (exited(1), "on-failure", "it exited with code 1"),
        (exited(137, OOMKilled=True), "no", "it exited with code 137, out of memory"),
        ({"Status": "created", "Running": False}, "always", "it has not been started"),
        ({"Status": "removing", "Running": False}, "always", "it is being removed"),
        ({"Status": "dead", "Running": False, "Dead": True}, "no", "it is being removed"),
    ],
)
def test_what_needs_no_waiting(state: Json, policy: str, reason: str) -> None:
    """It is over, and more looks would not change it."""
    assert verdict((0, state, 0), policy=policy) == Unhealthy(reason)


# --- Crashes


def test_restarting_is_not_running() -> None:
    """Though the engine says that it is; what counts is the time after the last restart, and more of it."""
    assert watch(
        (0, running("a"), 0),
        (4, restarting(), 1),
        (5, running("b"), 1),
        (5 + STEADY_S, running("b"), 1),
        (5 + STEADY_AFTER_CRASH_S, running("b"), 1),
    ) == [None, None, None, None, Healthy()]


def test_a_crash_between_two_looks() -> None:
    """Both see it running; that it is another run shows in the count or in the instant of its start."""
    assert watch((0, running("a"), 0), (5, running("a"), 1))[-1] is None
    assert watch((0, running("a"), 0), (5, running("b"), 0))[-1] is None


def test_a_crash_before_the_first_look() -> None:
    """A container that was just made has been restarted by nobody but the engine."""
    assert watch(
        (0, running(), 1), (STEADY_S, running(), 1), (STEADY_AFTER_CRASH_S, running(), 1)
    ) == [
        None,
        None,
        Healthy(),
    ]


def test_a_crash_loop() -> None:
    """It is not waited for until the time is up: the old container is down meanwhile."""
    looks = [(float(crash), restarting(3), crash) for crash in range(CRASHES_ARE_A_LOOP + 1)]
    assert watch(*looks) == [None] * CRASHES_ARE_A_LOOP + [
        Unhealthy("it keeps crashing: restarted 5 times, exit code 3")
    ]


def test_a_crash_loop_that_is_never_caught_waiting() -> None:
    """Each look finds it running, another time."""
    looks = [(float(run), running(f"12:00:{run:02d}"), 0) for run in range(10)]
    assert verdict(*looks) == Unhealthy("it keeps crashing: restarted 5 times")


def test_the_engine_gave_up_on_it() -> None:
    """As `on-failure:1` has it."""
    assert verdict((0, restarting(2), 1), (1, exited(2), 1), policy="on-failure") == Unhealthy(
        "it exited with code 2, restarted once, exit code 2"
    )


def test_a_slow_crash_loop() -> None:
    """Too few crashes for a loop, but never steady until the time is up."""
    runs = [(at_s + 6) // 9 for at_s in range(31)]
    looks = [(at_s, running(str(run)), run) for at_s, run in enumerate(runs)]
    assert verdict(*looks, timeout_s=30) == Unhealthy(
        "it did not run steadily within 30 s: restarted 4 times"
    )


# --- With a HEALTHCHECK


def test_a_health_check_that_succeeds() -> None:
    """Its word is enough, there is no waiting on top."""
    assert watch((0, running(health="starting"), 0), (2, running(health="healthy"), 0)) == [
        None,
        Healthy(),
    ]


def test_a_health_check_that_succeeds_after_a_crash() -> None:
    """It may have been asked between two crashes."""
    assert watch(
        (0, running("a", health="starting"), 0),
        (2, running("b", health="healthy"), 1),
        (2 + STEADY_AFTER_CRASH_S, running("b", health="healthy"), 1),
    ) == [None, None, Healthy()]


@pytest.mark.parametrize(("timeout_s", "tolerated_s"), [(120, 30), (60, 30), (20, 10)])
def test_a_health_check_that_fails(timeout_s: float, tolerated_s: float) -> None:
    """Tolerated while the program may still be starting, for 30 s or half of the time."""
    unhealthy = running(health="unhealthy")
    looks = [(0, unhealthy, 0), (tolerated_s - 0.1, unhealthy, 0), (tolerated_s, unhealthy, 0)]
    assert watch(*looks, timeout_s=timeout_s) == [
        None,
        None,
        Unhealthy("its health check fails"),
    ]


def test_a_health_check_that_recovers() -> None:
    """In time."""
    assert watch((0, running(health="unhealthy"), 0), (29, running(health="healthy"), 0)) == [
        None,
        Healthy(),
    ]


def test_a_health_check_that_never_tells() -> None:
    """It still starts when the time is up."""
    starting = running(health="starting")
    assert watch((0, starting, 0), (119.9, starting, 0), (120, starting, 0)) == [
        None,
        None,
        Unhealthy("its health check did not succeed within 120 s"),
    ]


def test_good_news_in_the_last_moment() -> None:
    """They count."""
    assert (
        verdict((0, running(health="starting"), 0), (120, running(health="healthy"), 0))
        == Healthy()
    )


# --- Pauses


def test_a_paused_container() -> None:
    """Somebody paused it: that proves nothing, and its time begins anew when it goes on."""
    assert watch(
        (0, running(), 0),
        (4, PAUSED, 0),
        (6, running(), 0),
        (6 + STEADY_S - 1, running(), 0),
        (6 + STEADY_S, running(), 0),
    ) == [None, None, None, None, Healthy()]


def test_a_container_that_stays_paused() -> None:
    """Until the time is up."""
    assert verdict((0, PAUSED, 0), (60, PAUSED, 0), timeout_s=60) == Unhealthy("it is paused")


# --- When to look again


def test_when_to_look_again() -> None:
    """Every second, and once more when the time is up."""
    health = HealthWatch(timeout_s=2.25, restart_policy="")
    health.look(restarting(), 1, 10.0)
    assert health.next_look_s == LOOK_EVERY_S
    health.look(restarting(), 1, 12.0)
    assert health.next_look_s == 0.25


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.dictionaries(st.text(max_size=3), st.none()),
)
STATES = st.one_of(
    st.sampled_from(
        [running(), running(health="starting"), running(health="unhealthy"), restarting(), PAUSED]
    ),
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("Status", "Running", "Restarting", "Paused", "Dead", "Health", "ExitCode"), ODD
        ),
    ),
)


@given(st.lists(st.tuples(STATES, st.integers(0, 8)), min_size=1), st.floats(0, 200))
def test_the_verdict_comes_in_time(states: list[tuple[Json, int]], timeout_s: float) -> None:
    """Whatever the engine says: by the timeout there is one, and looks are neither rushed nor rare."""
    health = HealthWatch(timeout_s=timeout_s, restart_policy="always")
    for number, (state, restart_count) in enumerate(states):
        health.look(state, restart_count, timeout_s * number / len(states))
        assert 0 < health.next_look_s <= LOOK_EVERY_S
    state, restart_count = states[-1]
    assert health.look(state, restart_count, timeout_s) is not None
