"""The state on the disk: durable when written, a previous one kept, a torn one moved aside."""

from __future__ import annotations

import contextlib
import errno
import os

from agent.faults import fault
from agent.launcher.state import State, StateError, dump, load
from agent.launcher.sync import sync_directory

NAME = "state.json"
PREVIOUS_NAME = "state.json.1"
SPARE_NAME = "spare"
SPARE_BYTES = 64 * 1024
MAX_STATE_BYTES = SPARE_BYTES

_FULL = (errno.ENOSPC, errno.EDQUOT)


class StateFile:
    """Reads and writes the state of one update directory.

    Args:
        directory: Exists, and nobody else writes these files.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def read(self, *, mend: bool = True) -> tuple[State, bool, list[str]]:
        """The newest state that is whole, an empty one if there is none.

        Returns:
            The state, whether it is the one last written, as far as is known, and what the operator should know.

        Args:
            mend: Move files that are torn aside.

        Raises:
            OSError: A file cannot be read.
        """
        notes: list[str] = []
        for name in (NAME, PREVIOUS_NAME):
            path = self._path(name)
            try:
                return load(_read(path)), name == NAME, notes
            except FileNotFoundError:
                continue
            except StateError as error:
                notes.append(f"{path} is damaged and is passed over: {error}")
                if mend:
                    os.replace(path, f"{path}.corrupt")
                    fault("state.quarantined")
        return State(), False, notes

    def write(self, state: State) -> tuple[State, list[str]]:
        """Makes it what is read from now on, power cuts included; on a full disk at the cost of the ballast.

        Returns:
            The state with its new number, and what the operator should know.

        Raises:
            OSError: It cannot be written. What is read is then the state before it, or this one.
        """
        state = state.but(seq=state.seq + 1)
        notes = []
        try:
            self._write(state)
        except OSError as error:
            if error.errno not in _FULL or not self._give_up_spare():
                raise
            notes.append(
                f"the disk is full: used the ballast {self._path(SPARE_NAME)}; free some space"
            )
            self._write(state)
        else:
            self._keep_spare()
        return state, notes

    def _write(self, state: State) -> None:
        fault("state.begun")
        temporary = self._path(f"{NAME}.tmp")
        _write(temporary, dump(state))
        fault("state.written")
        self._keep_previous()
        fault("state.kept")
        os.replace(temporary, self._path(NAME))
        fault("state.renamed")
        sync_directory(self._directory)
        fault("state.made_durable")

    def _keep_previous(self) -> None:
        """Gives the state a second name, so that there is one under its own at every moment."""
        current, previous = self._path(NAME), self._path(PREVIOUS_NAME)
        temporary = f"{previous}.tmp"
        _remove(temporary)
        try:
            os.link(current, temporary)
            os.replace(temporary, previous)
            _remove(temporary)  # renaming does nothing where both were the same file already
        except FileNotFoundError:
            pass  # the first state has none before it
        except OSError:
            # A file system without links: for a moment there is the previous state only, which is read then.
            os.replace(current, previous)

    def _give_up_spare(self) -> bool:
        try:
            os.unlink(self._path(SPARE_NAME))
        except OSError:
            return False
        sync_directory(self._directory)
        fault("spare.given_up")
        return True

    def _keep_spare(self) -> None:
        """Makes the ballast if it is missing. It is filled with noise, for some file systems do not store zeros."""
        spare, temporary = self._path(SPARE_NAME), self._path(f"{SPARE_NAME}.tmp")
        if os.path.lexists(spare):
            return
        try:
            _write(temporary, os.urandom(SPARE_BYTES))
            fault("spare.written")
            os.replace(temporary, spare)
            fault("spare.renamed")
        except OSError:
            _remove(temporary)  # there is no room for it yet

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)


def _write(path: str, content: bytes) -> None:
    """Makes the file anew and synced; one that cannot be finished is removed."""
    _remove(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    fault("file.opened")
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        fault("file.written")
        os.fsync(descriptor)
        fault("file.synced")
    except OSError:
        _remove(path)
        raise
    finally:
        os.close(descriptor)


def _read(path: str) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    with os.fdopen(os.open(path, flags), "rb") as file:
        document = file.read(MAX_STATE_BYTES + 1)
    if len(document) > MAX_STATE_BYTES:
        raise StateError(f"it is larger than {MAX_STATE_BYTES} bytes")
    return document


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
