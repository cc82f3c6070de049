"""The installer's command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from agent import __version__
from agent.installer import InstallError
from agent.installer.places import DEFAULT_DATA, DEFAULT_ROOT, Places
from agent.installer.steps import install, uninstall
from agent.installer.system import LinuxHost, Staged, System


def main(archive: Path, argv: Sequence[str] | None = None) -> None:
    """Does what the command line says, and exits with 0, or with 1 and a line that says why not.

    Args:
        archive: The file that this came in.
    """
    arguments = _parser().parse_args(argv)
    try:
        _do(archive, arguments)
    except InstallError as error:
        print(f"dockmon-agent: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 dockmon-agent.pyz",
        description=f"Installs the DockMon Agent {__version__} on this host, as a systemd service.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, text in (
        ("install", "install it, or replace the version that is installed"),
        ("uninstall", "remove the service and the installation"),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(command=name)
        command.add_argument("--root", type=_absolute, default=DEFAULT_ROOT, metavar="DIR",
                             help=f"where it is installed (default: {DEFAULT_ROOT})")  # fmt: skip
        command.add_argument("--data", type=_absolute, default=DEFAULT_DATA, metavar="DIR",
                             help=f"where it keeps its data (default: {DEFAULT_DATA})")  # fmt: skip
        command.add_argument("--staged-in", type=_absolute, metavar="DIR",
                             help="write files only, below DIR instead of /, as for a package")  # fmt: skip
    installing = commands.choices["install"]
    installing.add_argument("--url", help="address of the DockMon server")
    installing.add_argument(
        "--token-file", type=Path, metavar="FILE", help="file with the registration token"
    )
    installing.add_argument("--no-start", action="store_true", help="do not start the service")
    commands.choices["uninstall"].add_argument(
        "--purge", action="store_true", help="remove settings, data and user as well"
    )
    return parser


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or " " in text or not text.isprintable() or len(path.parts) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not an absolute path without spaces")
    return path


def _do(archive: Path, arguments: argparse.Namespace) -> None:
    places = Places(arguments.root, arguments.data, arguments.staged_in)
    system: System = LinuxHost() if places.staged_in is None else Staged()
    if arguments.command == "uninstall":
        uninstall(places, system, print, purge=arguments.purge)
        return
    install(
        archive,
        places,
        system,
        print,
        python=Path(sys.executable).resolve(),
        url=arguments.url,
        token_file=arguments.token_file,
        start=not arguments.no_start,
    )
