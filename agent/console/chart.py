"""`dockmon-agent chart`: shows a statechart, or writes pictures of all of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from agent.core.chart import Chart
from agent.core.pictures.export_json import to_json
from agent.core.pictures.mermaid import mermaid
from agent.core.pictures.routes import NoRoom
from agent.core.pictures.svg import svg
from agent.core.pictures.table import table

_FORMATS: dict[str, tuple[str, Callable[[Chart], str]]] = {
    "table": (".md", table),
    "mermaid": (".mmd", mermaid),
    "svg": (".svg", svg),
    "json": (".json", to_json),
}

_INTRODUCTION = """\
# Statecharts

<!-- Made from statecharts/*.toml by `make charts`; do not edit. -->

These pictures are drawn from the objects that the agent runs, so they cannot say anything else.

- A state *does* one thing, for as long as it says, and *holds* what is open meanwhile: acquired on the way in,
  released on the way out, kept between two states that both hold it.
- At an arrow stands what happened, `[what must be true]`, `/ what is decided on the way`.
- An arrow that comes from no box leads there from the states named at its end.
- A double border is an end.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `run` reads."""
    parser.add_argument("name", nargs="?", default="lifecycle", choices=Chart.names(), help="which")
    parser.add_argument("--format", default="table", choices=_FORMATS, help="default: table")
    parser.add_argument("--all", action="store_true", help="write every chart in every format")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where --all writes them")


def run(arguments: argparse.Namespace) -> int:
    """Prints one chart, or writes all of them. Returns the exit code."""
    try:
        return _run(arguments)
    except NoRoom as error:
        print(error, file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    if arguments.all is not (arguments.out is not None):
        print("--all and --out DIR belong together", file=sys.stderr)
        return 2
    if arguments.out is None:
        _, draw = _FORMATS[arguments.format]
        print(draw(Chart.load(arguments.name)), end="")
        return 0
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (arguments.out / name).write_text(text, encoding="utf-8")
    return 0


def documents() -> dict[str, str]:
    """Text by file name: each chart in each format, with an index."""
    charts = [Chart.load(name) for name in Chart.names()]
    files = {
        chart.name + suffix: draw(chart) for chart in charts for suffix, draw in _FORMATS.values()
    }
    return {"README.md": _INTRODUCTION + "".join(map(_section, charts)), **files}


def _section(chart: Chart) -> str:
    links = " · ".join(
        f"[{format_}]({chart.name}{suffix})" for format_, (suffix, _) in _FORMATS.items()
    )
    return f"\n## {chart.title}\n\n![{chart.title}]({chart.name}.svg)\n\n{links}\n"
