"""A chart as a mermaid `stateDiagram-v2`, for documents whose renderer draws them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from agent.core.chart import Chart
from agent.core.pictures.wording import arrows, limit, noticed_in


def mermaid(chart: Chart) -> str:
    """The whole source, title included. Each arrow is drawn, those common to all states too."""
    # A JSON string is a YAML scalar too, whatever quotes or colons are in it.
    lines = ["---", f"title: {json.dumps(chart.title)}", "---", "stateDiagram-v2"]
    lines += [f"    {line}" for line in _body(chart)]
    return "\n".join(lines) + "\n"


def _body(chart: Chart) -> Iterator[str]:
    yield f"[*] --> {chart.initial}"
    for name, state in chart.states.items():
        if state.does is not None:
            yield f"{name} : do / {state.does} {limit(chart.activities[state.does])}"
        if state.holds:
            yield f"{name} : holds {', '.join(state.holds)}"
        for clause in noticed_in(chart, name):
            yield f"{name} : on {clause}"
    for arrow in arrows(chart):
        (source,) = arrow.sources
        yield f"{source} --> {arrow.target} : {'<br/>'.join(map(str, arrow.clauses))}"
    yield from (f"{name} --> [*]" for name, state in chart.states.items() if state.final)
