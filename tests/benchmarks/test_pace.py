"""The rate of samples, whenever the window begins and ends."""

from __future__ import annotations

import pytest

from benchmarks.pace import Pace


@pytest.mark.parametrize("began_s", [0.0, 0.3, 0.999])
def test_one_a_second(began_s: float) -> None:
    """Is one a second, be there 30 or 31 of them in the window."""
    pace = Pace()
    for number in range(40):
        if began_s <= number <= began_s + 30.2:
            pace.note("web", float(number))
            pace.note("db", number + 0.004)
    assert pace.samples_per_s() == pytest.approx(2.0)


def test_one_that_is_left_out() -> None:
    """Every other sample of one is missing, and the last one of three came once."""
    pace = Pace()
    for number in range(31):
        pace.note("web", float(number))
        if number % 2 == 0:
            pace.note("db", float(number))
    pace.note("job", 3.0)
    assert pace.samples_per_s() == pytest.approx(1.5)


def test_nothing_came() -> None:
    """That is no rate."""
    assert Pace().samples_per_s() == 0
