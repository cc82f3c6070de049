"""Files that somebody else put there, opened so that neither a link nor a pipe leads us astray."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotRegular(Exception):
    """There is something of that name, and it is no regular file. `mode` says what, as in `os.stat_result.st_mode`."""

    def __init__(self, mode: int) -> None:
        super().__init__(stat.filemode(mode))
        self.mode = mode


class TooLarge(Exception):
    """The file has more bytes than may be read."""


@contextmanager
def directory(path: PurePosixPath) -> Iterator[tuple[int, PurePosixPath]]:
    """Opens a directory, links on the way followed; gives its descriptor and its real path.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = os.open(path, _DIRECTORY)
    try:
        # Asked of what is open, for names can be turned into links at any time.
        yield descriptor, PurePosixPath(Path(f"/proc/self/fd/{descriptor}").readlink())
    finally:
        os.close(descriptor)


@contextmanager
def subdirectory(parent: int, name: str) -> Iterator[int]:
    """Opens a directory in one that is open; never a link to one.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_file(parent: int, name: str, *, max_bytes: int) -> tuple[bytes, os.stat_result]:
    """Reads a regular file in a directory that is open.

    Raises:
        NotRegular: It is a link, a directory, a pipe …
        TooLarge: It has more than `max_bytes`.
        OSError: It is not there, or cannot be read.
    """
    # Looked at before it is opened, for opening a device may do something.
    _demand_regular(os.stat(name, dir_fd=parent, follow_symlinks=False))
    with open(os.open(name, _FILE, dir_fd=parent), "rb", buffering=0) as file:  # noqa: PTH123  by descriptor
        found = os.fstat(file.fileno())
        _demand_regular(found)
        if found.st_size > max_bytes:
            raise TooLarge
        content = bytearray()
        while len(content) <= max_bytes and (part := file.read(max_bytes + 1 - len(content))):
            content += part
    if len(content) > max_bytes:
        raise TooLarge
    return bytes(content), found


def _demand_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotRegular(found.st_mode)
