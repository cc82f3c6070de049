"""What a soak promises."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.verdict import Held, lines, most, verdict

WARM = Held(50.0, 40, 11)
GOOD: dict[str, Any] = {"emitted": 900, "lost": 0, "worst_command_ms": 80.0, "exit_status": 0}


def fails(end: Held = WARM, **odd: Any) -> list[str]:
    return [each.text for each in verdict(WARM, end, **{**GOOD, **odd}) if not each.holds]


def test_what_ends_as_it_was_holds() -> None:
    """Less of anything is good as well."""
    assert fails() == []
    assert fails(Held(52.9, 39, 9)) == []


@pytest.mark.parametrize(
    ("end", "odd", "about"),
    [
        (Held(53.0, 40, 11), {}, "RSS"),
        (Held(50.0, 41, 11), {}, "descriptors"),
        (Held(50.0, 40, 12), {}, "threads"),
        (WARM, {"lost": 1}, "1 of 900 events"),
        (WARM, {"emitted": 0}, "0 of 0 events"),
        (WARM, {"worst_command_ms": 1001.0}, "the slowest command"),
        (WARM, {"exit_status": -9}, "told to stop"),
    ],
)
def test_each_limit_is_told_by_itself(end: Held, odd: dict[str, Any], about: str) -> None:
    """One that does not hold does not hide the others; a soak in which nothing happened proves nothing."""
    (text,) = fails(end, **odd)
    assert text.startswith(about)


def test_warm_is_the_most_of_each() -> None:
    """The moment with the most memory may be one at which the server was away, and its connections with it."""
    assert most([Held(50.0, 29, 11), Held(52.0, 26, 10)]) == Held(52.0, 29, 11)


def test_the_verdict_is_read_line_by_line() -> None:
    """What fails stands out."""
    found = lines(verdict(WARM, WARM, **{**GOOD, "lost": 3}))
    assert [line for line in found if line.startswith("FAILS")] == ["FAILS  3 of 900 events lost"]
