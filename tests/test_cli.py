"""The command line: what it loads, what it refuses, what it prints."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from agent import __version__, cli, exit_codes


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    """(exit status, standard output) of `dockmon-agent WORDS`."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    return ended.value.code, capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """It is above that of the agent this one replaces, for the server compares."""
    assert said(capsys, "--version") == (0, f"dockmon-agent {__version__}\n")
    assert [int(part) for part in __version__.split(".")] > [2, 2, 0]


@pytest.mark.parametrize("form", ["table", "mermaid", "svg", "json"])
@pytest.mark.parametrize("name", ["lifecycle", "engine"])
def test_a_chart(capsys: pytest.CaptureFixture[str], name: str, form: str) -> None:
    """Each chart in each form, on standard output."""
    status, text = said(capsys, "chart", name, "--format", form)
    assert status == exit_codes.STOPPED
    assert "stopped" in text
    if form == "json":
        assert json.loads(text)["name"] == name


@pytest.mark.parametrize("words", [("chart", "nope"), ("fly",), ("demo", "--seconds", "-3")])
def test_what_it_does_not_know(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    """The usual status for a bad command line, and nothing on standard output."""
    assert said(capsys, *words) == (2, "")


def test_the_daemon_loads_nothing_that_draws() -> None:
    """What a host pays for all day is the daemon's imports: no console, no hub, no rich."""
    script = (
        "import sys, agent.cli, agent.daemon; agent.cli._parser(['run']);"
        "print([m for m in sys.modules if m.split('.')[0] == 'rich' or m.startswith(('agent.hub', 'agent.console'))])"
    )
    ended = subprocess.run(
        (sys.executable, "-c", script), capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "[]\n"
