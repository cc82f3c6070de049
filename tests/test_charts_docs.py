"""docs/charts is generated; these pages are as the charts are."""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path

import pytest

from agent.console import chart

FOLDER = Path(__file__).parents[1] / "docs" / "charts"

drawn = cache(chart.documents)
"""Drawing them all takes seconds."""


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    chart.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("name", drawn())
def test_a_page_is_fresh(name: str) -> None:
    """Each page says what its chart says now."""
    page = FOLDER / name
    text = page.read_text("utf-8") if page.exists() else ""
    assert text == drawn()[name], f"docs/charts/{name} is stale: run `make charts`"


def test_no_page_is_left_over() -> None:
    """A chart that is gone, or has another name, has no page any more."""
    extra = {page.name for page in FOLDER.iterdir()} - drawn().keys()
    assert not extra, f"no chart makes {', '.join(sorted(extra))} of docs/charts: remove it"


def test_the_index_shows_every_picture() -> None:
    """Who opens the folder sees all charts."""
    index = drawn()["README.md"]
    for name in drawn():
        if name.endswith(".svg"):
            assert f"]({name})" in index


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        ([], "# Agent lifecycle\n"),
        (["engine"], "# Watching the Docker engine\n"),
        (["engine", "--format", "mermaid"], '---\ntitle: "Watching the Docker engine"\n'),
        (["--format", "svg"], "<svg "),
        (["--format", "json"], '{\n  "name": "lifecycle",\n'),
    ],
)
def test_one_chart_is_printed(
    words: list[str], begins: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lifecycle as a table when told nothing, else what is asked for."""
    assert chart.run(parsed(*words)) == 0
    assert capsys.readouterr().out.startswith(begins)


def test_all_are_written(tmp_path: Path) -> None:
    """`--all --out DIR` makes the folder and writes what `documents` has."""
    assert chart.run(parsed("--all", "--out", str(tmp_path / "new"))) == 0
    written = {page.name: page.read_text("utf-8") for page in (tmp_path / "new").iterdir()}
    assert written == drawn()


@pytest.mark.parametrize("words", [["--all"], ["--out", "somewhere"]])
def test_half_an_order_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One of the two without the other is a mistake, said on standard error."""
    assert chart.run(parsed(*words)) == 2
    assert "belong together" in capsys.readouterr().err
