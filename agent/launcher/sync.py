"""What was renamed or removed, onto the disk: once for launcher, installer and agent."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from os import PathLike


def sync_directory(path: str | PathLike[str]) -> None:
    """Makes renames and removals in it durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # so some network file systems say that they have no need
            raise
    finally:
        os.close(descriptor)
