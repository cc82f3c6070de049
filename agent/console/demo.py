"""`dockmon-agent demo`: server and agent in one process, on a real engine, for less than a minute."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from agent import exit_codes, settings
from agent.adapters.engine import Endpoint, EndpointError
from agent.console import demo_view
from agent.console.acts.hands import Failed
from agent.console.demo_lines import Lines
from agent.console.demo_screen import Screen
from agent.console.demo_stage import Stage

FAILED = 1

_ENGINE_VARIABLES = ("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")


def run(environ: Mapping[str, str], *, seconds: float | None, plain: bool) -> int:
    """Plays the demo, shows it, and tells what came of it.

    Args:
        environ: Says where the engine is, as to the agent itself, and what the terminal can do.
        seconds: The longest it may take. None: about three quarters of a minute.
        plain: Lines of text, even on a terminal.

    Returns:
        The exit status: 0 if nothing was lost and nothing is left behind; after a signal 128 and its number.
    """
    try:
        endpoint = _endpoint(environ)
    except (settings.SettingsError, EndpointError) as error:
        print(f"dockmon-agent demo: {error}", file=sys.stderr)
        return exit_codes.CONFIG
    drawn = not plain and _can_draw(environ)
    show = Screen(Console()) if drawn else Lines(sys.stdout, sys.stderr)
    with show.logging() as redactor:
        stage = Stage(endpoint, show, learn=redactor.learn, seconds=seconds)
        try:
            report = asyncio.run(stage.run())
        except Failed as failed:
            print(f"dockmon-agent demo: {failed}", file=sys.stderr)
            return FAILED
    show.end(report)
    if stage.signal is not None:
        return 128 + stage.signal
    return exit_codes.STOPPED if report.is_good else FAILED


def _endpoint(environ: Mapping[str, str]) -> Endpoint:
    given = {name: text for name, text in environ.items() if name.startswith(_ENGINE_VARIABLES)}
    # The server is our own, whatever the environment says.
    chosen = settings.load({**given, "DOCKMON_URL": "ws://127.0.0.1"}).settings
    return Endpoint.parse(
        chosen.engine_url(Path.exists),
        cert_path=chosen.docker_cert_path,
        verify=chosen.docker_tls_verify,
    )


def _can_draw(environ: Mapping[str, str]) -> bool:
    if environ.get("NO_COLOR") or environ.get("TERM", "dumb") == "dumb" or not sys.stdout.isatty():
        return False
    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    return columns >= demo_view.MIN_WIDTH and rows >= demo_view.MIN_HEIGHT
