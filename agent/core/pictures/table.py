"""A chart as tables that read well as plain text and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from agent.core.chart import Chart
from agent.core.pictures.legend import legend

_STAYS = "(stays)"
_NOTHING = "-"


def table(chart: Chart) -> str:
    """What each event does in each state, then what the states, activities and resources are.

    An empty cell is a move that the chart does not have. Guards stand behind their target, the first that holds wins.
    """
    states = legend(chart)
    parts = [
        f"# {chart.title}",
        _rows(["event", *chart.states], _matrix(chart)),
        "## States",
        _rows(
            ["state", "holds", "does", "lasts", "meaning"],
            [[s.state, ", ".join(s.holds), s.does, s.lasts, s.doc] for s in states],
        ),
        "## What states do",
        _rows(["activity", "meaning"], [[n, a.doc] for n, a in chart.activities.items()]),
        "## What states hold",
        _rows(["resource", "meaning"], [[n, r.doc] for n, r in chart.resources.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _matrix(chart: Chart) -> list[list[str]]:
    events = dict.fromkeys(t.on for t in chart.transitions)
    return [[event, *(_cell(chart, event, state) for state in chart.states)] for event in events]


def _cell(chart: Chart, event: str, state: str) -> str:
    return "; ".join(
        " ".join([t.to or _STAYS, *([f"[{' and '.join(t.guards)}]"] if t.guards else [])])
        for t in chart.transitions
        if t.on == event and state in t.source
    )


def _rows(heads: list[str], rows: Iterable[list[str]]) -> str:
    cells = [heads, *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    if len(cells) == 1:
        cells.append([_NOTHING, *("" for _ in heads[1:])])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
