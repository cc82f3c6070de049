"""A chart as JSON, in the order of its file."""

from __future__ import annotations

from agent.core.chart import Chart


def to_json(chart: Chart) -> str:
    """All that differs from the defaults; `Chart.model_validate_json` reads it back."""
    return chart.model_dump_json(indent=2, by_alias=True, exclude_defaults=True) + "\n"
