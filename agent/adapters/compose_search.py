"""Looking for Compose files, directory by directory, on a thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import PurePosixPath

from agent.adapters.safe_files import NotRegular, TooLarge, directory, read_file, subdirectory
from agent.core.compose_files import (
    MAX_FILE_BYTES,
    NotCompose,
    is_allowed,
    is_compose_name,
    is_worth_a_look,
    project,
)
from agent.ports import ComposeFile

MAX_FOUND = 1000
"""Nobody picks from a longer list."""

MAX_CHARS = 2_000_000
"""Of all names: in JSON a character takes up to six bytes, and the reply has to fit into one message."""

MAX_ENTRIES = 2_000_000
"""Names looked at: what a fast disk gives in some seconds."""


class Search:
    """One search. `run` belongs to a thread, the rest to whoever waits for it; what was found can be had meanwhile."""

    def __init__(self, roots: Sequence[PurePosixPath], max_depth: int) -> None:
        self._roots, self._max_depth = roots, max_depth
        self._found: list[ComposeFile] = []
        self._known: set[str] = set()  # paths; roots may overlap
        self._entries, self._chars = 0, 0
        self._stopped = threading.Event()

    def run(self) -> None:
        for root in self._roots:
            try:
                with directory(root) as (descriptor, real):
                    self._look(descriptor, real, self._max_depth)
            except (OSError, ValueError):  # not there, not readable; no path at all
                continue

    def stop(self) -> None:
        self._stopped.set()

    def found(self) -> list[ComposeFile]:
        return list(self._found)

    def _look(self, descriptor: int, path: PurePosixPath, depth: int) -> None:
        if not is_allowed(path):
            return
        subdirectories = []
        with os.scandir(descriptor) as entries:
            for entry in entries:
                self._entries += 1
                if self._is_over():
                    return
                if is_compose_name(entry.name):
                    self._take(descriptor, path, entry.name)
                elif depth and is_worth_a_look(entry.name) and entry.is_dir(follow_symlinks=False):
                    subdirectories.append(entry.name)
        for name in sorted(subdirectories):
            if self._is_over():
                return
            try:
                with subdirectory(descriptor, name) as inner:
                    self._look(inner, path / name, depth - 1)
            except OSError:  # not readable, or gone
                continue

    def _take(self, descriptor: int, path: PurePosixPath, name: str) -> None:
        whole = str(path / name)
        if whole in self._known:
            return
        self._known.add(whole)
        try:
            whole.encode()  # a path that is no UTF-8 could not be asked for
            content, status = read_file(descriptor, name, max_bytes=MAX_FILE_BYTES)
            described = project(content.decode("utf-8", "replace"))
        except (OSError, NotRegular, TooLarge, NotCompose, UnicodeError):
            return
        called = described.name or path.name
        chars = sum(
            len(each) + 3 for each in (called, *described.services)
        )  # with quotes and a comma
        if self._chars + chars > MAX_CHARS:
            return
        self._chars += chars
        self._found.append(
            ComposeFile(
                path=whole,
                project_name=called,
                services=described.services,
                size_bytes=status.st_size,
                modified_s=status.st_mtime,
            )
        )

    def _is_over(self) -> bool:
        return (
            self._stopped.is_set() or self._entries > MAX_ENTRIES or len(self._found) >= MAX_FOUND
        )
