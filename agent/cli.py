"""The console script: what it does when told nothing is run the agent."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from agent import __version__, exit_codes


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the command line, does what it says, and exits with its status."""
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser(words).parse_args(words)
    try:
        status = arguments.do(arguments)
    except KeyboardInterrupt:
        status = 130  # as a shell reports SIGINT
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not try to flush it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dockmon-agent",
        description="Connects this Docker host to a DockMon server. Settings come from the environment.",
    )
    parser.add_argument("--version", action="version", version=f"dockmon-agent {__version__}")
    parser.set_defaults(do=_run)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    run = commands.add_parser("run", help="run the agent (the default)")
    run.set_defaults(do=_run)

    health = commands.add_parser("health", help="ask the running agent whether it is alive")
    health.set_defaults(do=_health)

    demo = commands.add_parser("demo", help="see the agent at work against a server of its own")
    demo.add_argument("--seconds", type=_seconds, default=None, help="end after this many seconds")
    demo.add_argument("--plain", action="store_true", help="lines instead of a live view")
    demo.set_defaults(do=_demo)

    hub = commands.add_parser("hub", help="run the reference server, for development")
    hub.add_argument("--host", default="127.0.0.1", help="address to listen on (default: loopback)")
    hub.add_argument("--port", type=int, default=8765, help="port to listen on (0: any)")
    hub.add_argument("--poll", type=_seconds, default=10.0, help="seconds between two listings")
    hub.set_defaults(do=_hub)

    chart = commands.add_parser("chart", help="draw a statechart, or write them all")
    if "chart" in words:  # nobody else pays for loading what draws
        from agent.console import chart as drawing

        drawing.add_arguments(chart)
        chart.set_defaults(do=drawing.run)

    release = commands.add_parser("release", help="make, sign and check releases (for maintainers)")
    if "release" in words:
        from agent.release import commands as releasing

        releasing.add_arguments(release)
        release.set_defaults(do=releasing.run)

    self_check = commands.add_parser(
        "self-check", help="load all that the agent may ever need, and say whether it can be"
    )
    self_check.set_defaults(do=_self_check)

    reference = commands.add_parser("reference", help="write the generated reference pages")
    reference.set_defaults(do=_reference)
    return parser


def _run(_: argparse.Namespace) -> int:
    from agent import daemon

    return daemon.run(os.environ)


def _health(_: argparse.Namespace) -> int:
    from agent.adapters import beat

    health = beat.ask()
    if health is None:
        print("no agent answers on this machine")
        return 1
    states = health.get("states")
    shown = ", ".join(f"{k} {v}" for k, v in states.items()) if isinstance(states, dict) else ""
    version = health.get("version")
    if isinstance(version, str):
        shown += f"; release {version}" + (" on trial" if health.get("on_trial") else "")
    print(f"{'alive' if health.get('alive') else 'stalled'}: {shown}")
    return 0 if health.get("alive") else 1


def _demo(arguments: argparse.Namespace) -> int:
    from agent.console import demo

    return demo.run(os.environ, seconds=arguments.seconds, plain=arguments.plain)


def _hub(arguments: argparse.Namespace) -> int:
    from agent.hub import terminal

    asyncio.run(terminal.run(arguments.host, arguments.port, poll_s=arguments.poll))
    return exit_codes.STOPPED


def _reference(_: argparse.Namespace) -> int:
    from agent.console import reference

    reference.write()
    return exit_codes.STOPPED


def _self_check(_: argparse.Namespace) -> int:
    from agent import self_check

    return self_check.run()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError("give seconds above 0 and up to a day")
    return seconds
