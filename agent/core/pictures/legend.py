"""What each state of a chart is for, holds and does, in words."""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.chart import Chart
from agent.core.pictures.wording import limit


@dataclass(frozen=True, slots=True)
class Entry:
    """`does` and `lasts` (`≤ 60 s`, `until link_lost`) are empty where nothing is done."""

    state: str
    doc: str
    holds: tuple[str, ...]
    does: str
    lasts: str


def legend(chart: Chart) -> tuple[Entry, ...]:
    """One entry for each state, in the order of the chart."""
    return tuple(
        Entry(
            name,
            state.doc,
            state.holds,
            state.does or "",
            limit(chart.activities[state.does]) if state.does is not None else "",
        )
        for name, state in chart.states.items()
    )
