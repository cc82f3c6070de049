"""Writes a release that arrives as a tar stream: new files below one directory, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from agent.core.tar_stream import Entry, Limits, entries

LIMITS = Limits(entries=20_000, file_bytes=256 << 20, total_bytes=512 << 20)
"""Many times what a release has."""

MAX_DEPTH = 32


def write_tree(directory: Path, chunks: Iterator[bytes]) -> None:
    """Writes what is in the archive's one directory below `directory`, which is empty.

    Raises:
        BadArchive: There is something in it that has no place in a release.
        OSError: It cannot be written.
    """
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        made: set[tuple[str, ...]] = set()
        for entry in entries(chunks, LIMITS):
            within = entry.path[1:]  # the archive begins with the directory's own name
            _make_parents(root, within if entry.is_directory else within[:-1], made)
            if within and not entry.is_directory:
                _write(root, "/".join(within), entry)
    finally:
        os.close(root)


def _make_parents(root: int, path: tuple[str, ...], made: set[tuple[str, ...]]) -> None:
    for depth in range(1, min(len(path), MAX_DEPTH) + 1):
        if path[:depth] not in made:
            os.mkdir("/".join(path[:depth]), 0o755, dir_fd=root)
            made.add(path[:depth])


def _write(root: int, path: str, entry: Entry) -> None:
    # Nothing here is a link, for we made it all; a second file of a name is an error.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o644, dir_fd=root), "wb") as file:
        for piece in entry.content:
            file.write(piece)
