"""Has a whole directory on the disk, not only in the kernel's memory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from agent.launcher.sync import sync_directory


def sync_tree(directory: Path) -> None:
    """Makes everything below `directory` durable: with one call where the system has it, else file by file.

    Raises:
        OSError: The disk did not take it.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _syncfs(descriptor):
            return
    finally:
        os.close(descriptor)
    for parent, _, files in os.walk(directory, topdown=False):
        for name in files:
            _sync_file(os.path.join(parent, name))  # noqa: PTH118  thousands of them
        sync_directory(parent)


def _syncfs(descriptor: int) -> bool:
    """False where the C library or the kernel does not have it."""
    import ctypes  # late: few agents ever get another release

    try:
        call = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return False
    if call(descriptor) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number))


def _sync_file(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
