"""The rate of samples, whenever the window begins and ends."""

from __future__ import annotations

import json

import pytest

from benchmarks.api_collector import sample_of
from benchmarks.pace import Pace
from benchmarks.server_process import Sink


@pytest.mark.parametrize("began_s", [0.0, 0.3, 0.999])
def test_one_a_second(began_s: float) -> None:
    """Is one a second, be there 30 or 31 of them in the window."""
    pace = Pace(began_s)
    for number in range(40):
        if began_s <= number <= began_s + 30.2:
            pace.note("web", float(number))
            pace.note("db", number + 0.004)
    assert pace.samples_per_s(began_s + 30.2) == pytest.approx(2.0)


def test_one_that_is_left_out() -> None:
    """Every other sample of one is missing, and the last one of three came once."""
    pace = Pace(0.0)
    for number in range(31):
        pace.note("web", float(number))
        if number % 2 == 0:
            pace.note("db", float(number))
    pace.note("job", 3.0)
    assert pace.samples_per_s(30.0) == pytest.approx(1.5 + 1 / 30)


@pytest.mark.parametrize("heard", [range(5), range(25, 30), range(10, 20)])
def test_one_that_falls_silent(heard: range) -> None:
    """What does not come at the beginning, or at the end, is missing in the rate as well."""
    pace = Pace(0.0)
    for number in heard:
        pace.note("web", float(number))
    assert pace.samples_per_s(30.0) == pytest.approx(len(heard) / 30)


def test_nothing_came() -> None:
    """That is no rate."""
    assert Pace(0.0).samples_per_s(30.0) == 0


def test_the_frames_of_the_baseline() -> None:
    """Each is a sample of one container."""
    stats = {
        "read": "2026-01-01T00:00:00Z",
        "name": "/web",
        "cpu_stats": {"cpu_usage": {"total_usage": 2}, "system_cpu_usage": 200},
        "precpu_stats": {"cpu_usage": {"total_usage": 1}, "system_cpu_usage": 100},
        "memory_stats": {},
        "blkio_stats": {},
    }
    sink = Sink()
    sink.begin(0.0)
    for number in range(11):
        sink.take(json.dumps(sample_of("c0ffee" * 10, stats)), float(number))
    assert sink.frames == 11
    assert sink.pace.samples_per_s(10.0) == pytest.approx(1.0)
