"""Percentiles, differences and tables of the benchmarks."""

from __future__ import annotations

import math

import pytest

from benchmarks import page
from benchmarks.cost import Costs, source_of
from benchmarks.figures import (
    Latencies,
    Start,
    Window,
    cost_table,
    latency_table,
    markdown,
    number,
    over_idle,
    percentile,
    plain,
    start_of,
    start_table,
)
from benchmarks.page import Circumstances, budgets
from benchmarks.processes import Memory

IDLE = Window("nothing", 150, {"dockerd": 15.0, "containerd": 3.0, "shims": 37.0})
AGENT = Window(
    "this agent",
    150,
    {"agent": 8.0, "dockerd": 15.5, "containerd": 3.0, "shims": 37.5},
    rate_hz=1.0,
    memory=Memory(47.0, 40.0, 36.0, 15.0),
    frames_per_s=301.0,
    bytes_per_s=120_000.0,
)
BASELINE = Window(
    "API collector",
    150,
    {"agent": 25.0, "dockerd": 110.0, "containerd": 100.0, "shims": 180.0},
    rate_hz=0.66,
    memory=Memory(28.0, 20.0, 18.0, 14.0),
)
WINDOWS = [IDLE, AGENT, BASELINE]
COSTS = Costs(
    WINDOWS,
    [Start(150, {"agent": 900.0, "dockerd": 120.0, "containerd": 9.0, "shims": 700.0})],
    [Latencies(150, [1.0, 2.0, 9.0], [0.5], [8.0], [600.0])],
    "somewhere",
)


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 1), (1, 1), (50, 5), (51, 6), (99, 10), (100, 10)]
)
def test_percentiles(percent: float, value: float) -> None:
    """A value that was measured, never one in between."""
    assert percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], percent) == value


def test_nothing_has_no_percentile() -> None:
    """What was not measured is shown as such."""
    assert math.isnan(percentile([], 50))
    assert number(math.nan) == "-"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0123, "0.01"), (0.5, "0.50"), (3.14159, "3.14"), (52.26, "52.3"), (741.2, "741")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    """More would be noise."""
    assert number(value) == text


def test_over_idle_is_the_whole_host() -> None:
    """The agent's own part is in it, and noise below idle is no gain."""
    assert over_idle(AGENT, WINDOWS) == pytest.approx(9.0)
    later = Window("nothing", 150, {"dockerd": 17.0, "containerd": 3.0, "shims": 39.0})
    assert over_idle(AGENT, [IDLE, AGENT, later]) == pytest.approx(7.0), "over the mean of both"
    better = Window("this agent", 150, {"agent": 1.0, "dockerd": 1.0})
    assert over_idle(better, WINDOWS) == 0.0


def test_what_comes_once() -> None:
    """What the same time costs afterwards is none of it, and noise is no gain."""
    spent = {"agent": 1000.0, "dockerd": 400.0, "containerd": 50.0, "shims": 900.0}
    once = start_of(150, spent, 20.0, AGENT).cpu_ms
    assert once == {"agent": 840.0, "dockerd": 90.0, "containerd": 0.0, "shims": 150.0}
    assert start_table([Start(150, once)])[1] == ["150", "840", "90", "0"]


def test_a_table_side_by_side() -> None:
    """Names to the left, figures to the right."""
    assert plain([["N", "run", "ms"], ["10", "nothing", "7"], ["300", "it", "12"]]) == (
        " N  run      ms\n"  # and no blanks at the end of a line
        " 10  nothing   7\n"
        "300  it       12"
    ).replace(" N  run", "  N  run")


def test_a_table_in_markdown() -> None:
    """The same, for the docs."""
    assert markdown([["N", "run"], ["10", "nothing"]]) == (
        "| N | run |\n| --: | --- |\n| 10 | nothing |"
    )


def test_every_run_is_a_row() -> None:
    """Rows are as wide as their heading, whatever was not measured."""
    for table in (cost_table(WINDOWS), start_table(COSTS.starts), latency_table(COSTS.latencies)):
        assert {len(row) for row in table} == {len(table[0])}
    assert [row[1] for row in cost_table(WINDOWS)[1:]] == [w.run for w in WINDOWS]


def test_budgets_say_yes_or_no() -> None:
    """Each with what was measured; a twentieth is a ratio within the run."""
    assert budgets(COSTS)[1:] == [
        ["at 150: the agent takes at most 15 ms/s", "8.00", "yes"],
        ["at 150: RSS of at most 48 MB", "47.0", "yes"],
        ["at 150: 1.00 Hz", "1.00", "yes"],
        ["at 150: the host over idle at most 0.050 of the baseline's", "0.025", "yes"],
        ["RSS flat to within 3 MB over all N", "0", "yes"],
    ]


def test_the_page_shows_every_figure(tmp_path: object) -> None:
    """No drawing is without its place on the page, and none on the page is missing."""
    text = page.text(COSTS, Circumstances("Docker 27, API 1.47", 30.0, 0.1))
    shown = {part.partition(".svg")[0] for part in text.split("(cost/")[1:]}
    assert shown == page.drawings(COSTS).keys()


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (
            "container figures come from the kernel's control groups, version 1",
            "the kernel's control groups, version 1",
        ),
        ("container figures come from the Engine API, which costs it: no mount", "the Engine API"),
        ("DockMon agent starts", "Engine API"),
    ],
)
def test_the_agent_says_where_its_figures_come_from(line: str, source: str) -> None:
    """In its log; a release that does not say it knows one way only."""
    assert source_of([f"12:00 INFO agent: {line}"]) == source
