"""/etc/dockmon-agent.env: the agent's settings, read by systemd as root before the agent is started as nobody much."""

from __future__ import annotations

import os
import re
from pathlib import Path

from agent.installer import InstallError

_HEAD = """\
# Settings of the DockMon Agent, one NAME=value a line. After a change: systemctl restart dockmon-agent
LOG_JSON=false
"""
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%~\[\]+-]+")
"""What means itself in such a file. Addresses and tokens have nothing else."""

MAX_TOKEN_BYTES = 4096


def will_be_complete(path: Path, url: str | None, token_file: Path | None) -> bool:
    """Whether the settings will do once they are written, as far as can be seen."""
    return path.exists() or (url is not None and token_file is not None)


def write(path: Path, url: str | None, token_file: Path | None) -> None:
    """Writes the file, for root only, unless there is one: that is the operator's.

    Raises:
        InstallError: `url` or the token are none, or the token's file cannot be read.
    """
    text = (
        _HEAD
        + _line("DOCKMON_URL", _address(url))
        + _line("REGISTRATION_TOKEN", _token(token_file))
    )
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _line(name: str, value: str | None) -> str:
    return f"#{name}=\n" if value is None else f"{name}={value}\n"


def _address(url: str | None) -> str | None:
    if url is not None and not _PLAIN.fullmatch(url):
        raise InstallError("--url is no address: write it like https://dockmon.example.com")
    return url


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            text = file.read(MAX_TOKEN_BYTES).decode().strip()
    except (OSError, ValueError) as error:
        raise InstallError(f"--token-file {path} cannot be read: {error}") from error
    if not _PLAIN.fullmatch(text):
        raise InstallError(
            f"--token-file {path} holds no token: copy it again from the server (Add Host, Agent)"
        )
    return text
