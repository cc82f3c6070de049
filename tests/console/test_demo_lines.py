"""The demo in a pipe."""

from __future__ import annotations

import asyncio
import io
import re
from dataclasses import replace

import pytest

from agent.console.demo_lines import Lines, figures, size
from agent.console.demo_scene import Fact, Report, Traffic

REPORT = Report(
    emitted=10,
    received=9,
    waiting=1,
    repeated=2,
    requests=8,
    replies=7,
    longest_s=0.271,
    to_server=Traffic(21, 8600),
    to_agent=Traffic(1, 190),
    reconnects=1,
    away_s=6.44,
    took_s=24.2,
)


def test_each_fact_is_one_line_with_its_time() -> None:
    """A step begins after an empty line, so that it is found again."""
    out = io.StringIO()
    lines = Lines(out, io.StringIO())
    lines.tell(Fact(3.04, "demo", "2/6  Make a container", topic="step"))
    lines.tell(Fact(12.3, "server", "asks: start demo-49af"))
    assert out.getvalue().splitlines() == [
        "",
        "   3.04 s  demo    2/6  Make a container",
        "  12.30 s  server  asks: start demo-49af",
    ]


def test_the_end_has_all_figures() -> None:
    """Events at both ends, requests, traffic each way, reconnects, and what is left behind."""
    out = io.StringIO()
    Lines(out, io.StringIO()).end(REPORT)
    assert re.sub(" +", " ", out.getvalue()).splitlines() == [
        "",
        "Nothing was lost.",
        " container events 10 emitted by the engine, 9 received by the server, 1 in the agent's journal, "
        "0 lost, 2 repeated",
        " requests 8 sent by the server, 7 answered; the longest took 0.27 s",
        " agent → server 21 messages, 8.6 kB",
        " server → agent 1 message, 190 B",
        " reconnects 1, after 6.4 s without a link",
        " left behind nothing",
        " duration 24.2 s",
    ]


def test_what_is_left_behind_comes_with_its_remedy() -> None:
    """A command to copy."""
    left = dict(figures(replace(REPORT, left_behind=["docker rm -f -v 9ab3"])))["left behind"]
    assert left == "remove it with: docker rm -f -v 9ab3"


def test_what_could_not_be_shown_comes_with_its_reason() -> None:
    """One line for each."""
    skipped = ["Deploy: no Docker Compose is installed", "Update: there is no way to this process"]
    report = replace(REPORT, skipped=skipped)
    assert [value for name, value in figures(report) if name == "skipped"] == skipped


class ClosedPipe(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


async def test_nobody_reads_on() -> None:
    """As with `| head`: telling harms nobody, and the view is over."""
    lines = Lines(ClosedPipe(), io.StringIO())
    lines.tell(Fact(0.0, "demo", "begins"))
    lines.tell(Fact(0.1, "demo", "goes on"))
    async with asyncio.timeout(1):
        await lines.paint(lambda: pytest.fail("there is no picture to draw"))


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (14_249, "14.2 kB"), (2_500_000, "2.5 MB")],
)
def test_sizes_are_for_people(number: int, text: str) -> None:
    """Powers of a thousand, one digit."""
    assert size(number) == text
