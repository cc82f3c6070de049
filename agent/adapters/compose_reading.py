"""Reading one Compose file with what belongs to it, on a thread."""

from __future__ import annotations

import stat
from pathlib import PurePosixPath

from agent.adapters.safe_files import NotRegular, TooLarge, directory, read_file
from agent.core.compose_files import (
    ENV_FILE,
    MAX_FILE_BYTES,
    beside,
    env_references,
    is_allowed,
    is_compose_name,
)
from agent.ports import ComposeFileRefused, ComposeText

MAX_ENV_BYTES = 4 * MAX_FILE_BYTES
"""Of all env files of one Compose file: a reply has to fit into one message."""

NOT_ALLOWED = "Path not allowed"
NOT_COMPOSE = "Not a compose file"
NOT_FOUND = "File not found or not accessible"
IS_LINK = "Compose file is a symlink"
IS_DIRECTORY = "Path is a directory, not a file"
TOO_LARGE = "File too large (max 1MB)"
UNREADABLE = "Failed to read file"


def read(path: str) -> ComposeText:
    """The file at `path`, with the env files beside it.

    Raises:
        ComposeFileRefused: It is not given out.
    """
    asked = PurePosixPath(path)
    if not asked.is_absolute() or "\0" in path or not is_allowed(asked):
        raise ComposeFileRefused(NOT_ALLOWED)
    if not is_compose_name(asked.name):
        raise ComposeFileRefused(NOT_COMPOSE)
    try:
        with directory(asked.parent) as (descriptor, real):
            if not is_allowed(real):
                raise ComposeFileRefused(NOT_ALLOWED)
            return _read(descriptor, asked.name)
    except (OSError, UnicodeError):
        raise ComposeFileRefused(NOT_FOUND) from None


def _read(descriptor: int, name: str) -> ComposeText:
    try:
        raw, _ = read_file(descriptor, name, max_bytes=MAX_FILE_BYTES)
    except NotRegular as found:
        raise ComposeFileRefused(_irregular(found.mode)) from None
    except TooLarge:
        raise ComposeFileRefused(TOO_LARGE) from None
    except FileNotFoundError:
        raise ComposeFileRefused(NOT_FOUND) from None
    except OSError:
        raise ComposeFileRefused(UNREADABLE) from None
    content = raw.decode("utf-8", "replace")
    env_files, skipped = _env_files(descriptor, env_references(content))
    return ComposeText(content, env_files, skipped)


def _irregular(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return IS_LINK
    return IS_DIRECTORY if stat.S_ISDIR(mode) else NOT_COMPOSE


def _env_files(descriptor: int, references: list[str]) -> tuple[dict[str, str], list[str]]:
    """(contents by name, references that are skipped)"""
    contents: dict[str, str] = {}
    skipped: dict[str, None] = {}
    room_bytes = MAX_ENV_BYTES
    for reference in (ENV_FILE, *references):
        name = beside(reference)
        if name is None:
            skipped[reference] = None
        elif name not in contents:
            try:
                raw, _ = read_file(descriptor, name, max_bytes=min(MAX_FILE_BYTES, room_bytes))
                room_bytes -= len(raw)
                contents[name] = raw.decode("utf-8", "replace")
            except FileNotFoundError:
                if reference in references:
                    contents[name] = ""
            except (OSError, NotRegular, TooLarge):
                skipped[reference] = None
    return contents, list(skipped)
