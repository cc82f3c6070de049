"""A failure that repeats makes a few lines, not a wall of them."""

from __future__ import annotations

import pytest

from agent.core.repeats import Repeats, Report


def said(repeats: Repeats, key: str, *times_s: float) -> list[tuple[float, str]]:
    """What is logged when `key` fails at `times_s`, as (time, text)."""
    reports = [(now_s, repeats.failed(key, now_s)) for now_s in times_s]
    return [(now_s, str(report)) for now_s, report in reports if report is not None]


def test_the_first_failure_is_told_at_once() -> None:
    """One failure, one line; the next one a moment later says nothing."""
    repeats = Repeats()
    assert repeats.failed("server", 1000.0) == Report(count=1, elapsed_s=0.0)
    assert repeats.failed("server", 1000.1) is None


def test_a_lasting_failure_is_summarised() -> None:
    """Failing every 10 s for 3 h 30: after 1, 5 and 15 minutes, then at each full hour."""
    assert said(Repeats(), "server", *range(0, 12_600, 10)) == [
        (0, "failed"),
        (60, "still failing: 7 times in 1 min"),
        (300, "still failing: 31 times in 5 min"),
        (900, "still failing: 91 times in 15 min"),
        (3600, "still failing: 361 times in 60 min"),
        (7200, "still failing: 721 times in 2 h"),
        (10_800, "still failing: 1081 times in 3 h"),
    ]


def test_summaries_that_were_due_in_silence_become_one() -> None:
    """Failing again after 20 minutes makes one summary; the next is due at the full hour."""
    assert said(Repeats(), "server", 0.0, 1200.0, 1260.0, 3599.0, 3600.0) == [
        (0.0, "failed"),
        (1200.0, "still failing: 2 times in 20 min"),
        (3600.0, "still failing: 5 times in 60 min"),
    ]


def test_a_recovery_is_told_once_and_ends_the_run() -> None:
    """After it the next failure is a first one; a second recovery is none."""
    repeats = Repeats()
    said(repeats, "server", 0.0, 1.0, 2.0)
    assert str(repeats.recovered("server", 45.0)) == "recovered after failing 3 times in 45 s"
    assert repeats.recovered("server", 46.0) is None
    assert said(repeats, "server", 50.0) == [(50.0, "failed")]
    assert str(repeats.recovered("server", 53.0)) == "recovered after failing once in 3 s"


def test_what_never_failed_does_not_recover() -> None:
    """Success is not news."""
    assert Repeats().recovered("server", 1.0) is None


def test_keys_do_not_disturb_each_other() -> None:
    """Each key has a run of its own."""
    repeats = Repeats()
    assert said(repeats, "server", 0.0, 1.0) == [(0.0, "failed")]
    assert said(repeats, "engine", 1.0, 2.0) == [(1.0, "failed")]
    assert repeats.recovered("server", 3.0) == Report(2, 3.0, recovered=True)
    assert said(repeats, "engine", 61.0) == [(61.0, "still failing: 3 times in 1 min")]


def test_the_number_of_runs_is_bounded() -> None:
    """With too many keys the one that failed longest ago is forgotten, not the busiest."""
    repeats = Repeats(max_keys=2)
    said(repeats, "old", 0.0)
    said(repeats, "new", 1.0)
    said(repeats, "old", 2.0)
    said(repeats, "newest", 3.0)
    assert repeats.recovered("new", 4.0) is None
    assert repeats.recovered("old", 4.0) == Report(2, 4.0, recovered=True)


@pytest.mark.parametrize(
    ("elapsed_s", "text"),
    [(59.0, "59 s"), (61.0, "1 min"), (5400.0, "90 min"), (7200.0, "2 h"), (172_800.0, "2 days")],
)
def test_times_are_told_in_the_unit_that_fits(elapsed_s: float, text: str) -> None:
    """Seconds, minutes below two hours, hours below two days, days."""
    assert str(Report(2, elapsed_s)) == f"still failing: 2 times in {text}"
