"""How long to wait before trying again."""

from __future__ import annotations

import random

import pytest
from core.machines import LongestDelays
from hypothesis import given
from hypothesis import strategies as st

from agent.core.backoff import FLOOR_S, Backoff


class ShortestDelays(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return a


@pytest.mark.parametrize(
    ("backoff", "ceilings_s"),
    [
        pytest.param(Backoff(1.0, 60.0), [1, 2, 4, 8, 16, 32, 60, 60], id="server"),
        pytest.param(Backoff(60.0, 600.0), [60, 120, 240, 480, 600, 600], id="eviction"),
        pytest.param(Backoff(5.0, 5.0), [5, 5, 5], id="constant"),
        pytest.param(Backoff(0.1, 0.3), [0.1, 0.2, 0.3, 0.3], id="below the floor"),
    ],
)
def test_the_ceiling_doubles_up_to_its_maximum(backoff: Backoff, ceilings_s: list[float]) -> None:
    """After the first failure it is `initial_s`, and it never passes `max_s`."""
    assert [backoff.ceiling_s(n + 1) for n in range(len(ceilings_s))] == ceilings_s


@pytest.mark.parametrize("failures", [65, 1100, 10**9, 10**400])
def test_years_of_failures_are_no_overflow(failures: int) -> None:
    """A float ends after 1023 doublings; a server may be away for longer."""
    assert Backoff(0.001, 60.0).ceiling_s(failures) == 60.0


def test_any_delay_up_to_the_ceiling_is_as_likely() -> None:
    """Full jitter: from the floor, which spares a server that refuses at once, to the ceiling."""
    assert Backoff(8.0, 60.0).delay_s(2, ShortestDelays()) == FLOOR_S
    assert Backoff(8.0, 60.0).delay_s(2, LongestDelays()) == 16.0


def test_a_ceiling_below_the_floor_wins() -> None:
    """Who sets RECONNECT_MAX to 0.1 s wants to wait no longer."""
    assert Backoff(0.05, 0.1).delay_s(9, ShortestDelays()) == 0.1
    assert Backoff(0.05, 0.1).delay_s(9, LongestDelays()) == 0.1


def test_the_same_seed_waits_the_same() -> None:
    """So that a scenario can be repeated."""
    first, second = random.Random(7), random.Random(7)
    backoff = Backoff(1.0, 60.0)
    assert [backoff.delay_s(n, first) for n in range(1, 9)] == [
        backoff.delay_s(n, second) for n in range(1, 9)
    ]


@given(
    initial_s=st.floats(0.001, 3600.0),
    max_s=st.floats(0.001, 86_400.0),
    failures=st.integers(1, 10_000),
    rng=st.randoms(use_true_random=False),
)
def test_a_delay_is_always_within_its_bounds(
    initial_s: float, max_s: float, failures: int, rng: random.Random
) -> None:
    """Whatever is configured: between floor and ceiling, but for the rounding to a millisecond."""
    backoff = Backoff(initial_s, max_s)
    ceiling_s = backoff.ceiling_s(failures)
    assert ceiling_s <= max_s
    delay_s = backoff.delay_s(failures, rng)
    assert min(FLOOR_S, ceiling_s) - 0.0005 <= delay_s <= ceiling_s + 0.0005
    assert delay_s == round(delay_s, 3)
