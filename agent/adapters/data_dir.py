"""The one directory that survives us: whether it can be used, by whom, and what to tell those who can mend it."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from pathlib import Path

from agent.launcher.sync import sync_directory
from agent.ports import StoreError

_LOCK_NAME = "agent.lock"
_PROBE_NAME = ".writable"
_PROBE_BYTES = 4096  # a page: on a full disk an empty file can still be made

_ERRNO_OF_SQLITE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
    sqlite3.SQLITE_IOERR: errno.EIO,
}


def unusable(path: Path, err: OSError | sqlite3.Error) -> StoreError:
    """What to say about `err`, met with `path`: the path, the cause, the remedy."""
    if isinstance(err, OSError):
        number, cause = err.errno or 0, (err.strerror or str(err))
    else:
        number = _ERRNO_OF_SQLITE.get(getattr(err, "sqlite_errorcode", 0) & 0xFF, 0)
        cause = f"{os.strerror(number)}: {err}" if number else str(err)
    if number in (errno.EACCES, errno.EPERM):
        cause += f" for uid {os.geteuid()}"
    return StoreError(f"{path} cannot be used: {cause[0].lower()}{cause[1:]}; {_remedy(number)}")


def _remedy(number: int) -> str:
    match number:
        case errno.EACCES | errno.EPERM:
            return f"let that user write there: chown -R {os.geteuid()} the directory on the host"
        case errno.EROFS:
            return "mount a named volume there, and not read-only"
        case errno.ENOSPC | errno.EDQUOT:
            return "free space on its file system; nothing needs to be restarted"
        case errno.ELOOP:
            return "put a plain file in the place of the symbolic link"
        case errno.EBUSY:
            return "end the other program that uses it"
        case errno.EIO:
            return "check the disk and the kernel's log"
        case _:
            return "mount a named volume there, or choose a directory that can be written"


def prove_writable(path: Path) -> None:
    """Makes the directory if it is missing, then writes, syncs and removes a file in it.

    Raises:
        OSError: That did not work.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    probe = path / _PROBE_NAME
    probe.unlink(missing_ok=True)  # of one who died here
    write_synced(probe, bytes(_PROBE_BYTES))
    probe.unlink()
    sync_directory(path)


def write_synced(path: Path, content: bytes) -> None:
    """Makes a file that nobody else can read, from the first moment; one half written is removed.

    Raises:
        OSError: It cannot be written, or something of that name exists, be it a symbolic link.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def lock(path: Path) -> int:
    """Makes the directory ours until the descriptor returned is closed, which the death of the process does too.

    Raises:
        OSError: The directory cannot be used.
        StoreError: Another agent uses it.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path / _LOCK_NAME, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        os.close(descriptor)
        raise StoreError(
            f"another agent uses {path}; stop it, or give each agent a data directory of its own"
        ) from err
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
