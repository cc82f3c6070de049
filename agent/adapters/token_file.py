"""The permanent token's own file: its name and form are the Go agent's, so that its volume can be taken over."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from agent.adapters.data_dir import unusable, write_synced
from agent.launcher.sync import sync_directory
from agent.ports import StoreError

FILE_NAME = "permanent_token"
_MAX_BYTES = 4096  # the server's tokens are UUIDs; a file far from that is none of ours


def read(data_path: Path) -> str:
    """The token without surrounding white space, or "" if there is no such file.

    Raises:
        StoreError: There is something of that name and it cannot be read as a token. To register anew instead would
            give the host a second record on the server.
    """
    path = data_path / FILE_NAME
    try:
        # A pipe left there would block an open for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as err:
        raise unusable(path, err) from err
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise StoreError(f"{path} is not a plain file; remove it, or put the token there")
        content = os.read(descriptor, _MAX_BYTES + 1)
    except OSError as err:
        raise unusable(path, err) from err
    finally:
        os.close(descriptor)
    token = content.decode("ascii", "replace").strip()
    if len(content) > _MAX_BYTES or not token.isprintable() or not token.isascii():
        raise StoreError(f"{path} does not hold a token; restore it, or remove it to register anew")
    return token


def write(data_path: Path, token: str) -> None:
    """Puts `token` in the place of what is there, at once and durably; "" removes the file.

    A file that holds it already is left alone.

    Raises:
        StoreError: That did not work; what was there still is.
    """
    path = data_path / FILE_NAME
    temporary = data_path / f"{FILE_NAME}.tmp"
    with contextlib.suppress(StoreError):  # what cannot be read is no token, and is replaced
        if read(data_path) == token:
            return
    try:
        if token:
            data_path.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)  # of one who died here
            write_synced(temporary, token.encode("ascii"))
            temporary.replace(path)  # a symbolic link of that name is replaced, never followed
        else:
            path.unlink(missing_ok=True)
        sync_directory(data_path)
    except OSError as err:
        raise unusable(path, err) from err
