"""One launcher on a volume: the others wait."""

from __future__ import annotations

import errno
import fcntl
import os

NAME = "lock"


def try_lock(directory: str) -> int | None:
    """Makes the directory ours until the descriptor is closed, which the end of the process does too.

    Returns:
        The descriptor; None: another process has it.

    Raises:
        OSError: The directory cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(os.path.join(directory, NAME), flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            os.close(descriptor)
            return None
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            os.close(descriptor)
            raise
        # A file system without locks: two containers on one such volume cannot be told apart from one.
    return descriptor
