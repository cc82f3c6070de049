"""The update directory as the launcher has it: usable or not, its state in memory, and what is on the disk."""

from __future__ import annotations

import errno
import os

from agent.launcher import lock
from agent.launcher.say import Voice
from agent.launcher.state import State
from agent.launcher.state_file import StateFile

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from collections.abc import Callable

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Volume:
    """Without a usable directory the state lives in memory only, and nothing is updated.

    Attributes:
        directory: None: it cannot be used.
        why: Why not; "" if it can.
        state: The last one saved, or kept in memory where that failed.
        is_saved: Whether the disk has it too.
    """

    def __init__(self, voice: Voice, directory: str | None, why: str = "") -> None:
        self.directory, self.why = directory, why
        self.state, self.is_saved = State(), False
        self._voice = voice
        self._file = StateFile(directory) if directory else None

    @classmethod
    def opened(cls, path: str, voice: Voice, wait: Callable[[], bool]) -> Volume | None:
        """The volume at `path`, once no other launcher has it.

        Args:
            wait: Waits a moment because another has it; False: wait no longer.

        Returns:
            None: `wait` said so.
        """
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
            while lock.try_lock(path) is None:
                if not wait():
                    return None
            if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            volume = cls(voice, path)
            volume.read()
        except OSError as error:
            volume = cls(voice, None, _unusable(path, error))
            voice.warn(f"{volume.why}; the image's own release runs")
        return volume

    @classmethod
    def peeked(cls, path: str, voice: Voice) -> Volume:
        """The same to look at only: nothing is locked, mended or written."""
        volume = cls(voice, path)
        try:
            volume.read(mend=False)
        except OSError as error:
            return cls(voice, None, _unusable(path, error))
        return volume

    def read(self, *, mend: bool = True) -> None:
        assert self._file is not None
        self.state, self.is_saved, notes = self._file.read(mend=mend)
        for note in notes:
            self._voice.warn(note)

    def save(self, state: State) -> bool:
        """Whether the state is on the disk now. In memory it is in any case.

        A directory that cannot be written for another reason than lack of space is not usable any more.
        """
        if state == self.state and self.is_saved:
            return True
        self.state, self.is_saved = state, False
        if self._file is None:
            return False
        try:
            self.state, notes = self._file.write(state)
        except OSError as error:
            text = _unusable(str(self.directory), error)
            self._voice.warn(text)
            if error.errno not in _FULL:
                self.directory, self.why, self._file = None, text, None
            return False
        self.is_saved = True
        for note in notes:
            self._voice.warn(note)
        return True


def _unusable(path: str, error: OSError) -> str:
    cause = (error.strerror or str(error)).lower()
    match error.errno:
        case errno.EACCES | errno.EPERM:
            remedy = f"let uid {os.geteuid()} write there: chown -R {os.geteuid()} it on the host"
        case errno.EROFS:
            remedy = "mount a named volume there, and not read-only"
        case errno.ENOSPC | errno.EDQUOT:
            remedy = "free some space on its file system"
        case errno.ELOOP:
            remedy = "put a plain file in the place of the symbolic link"
        case _:
            remedy = "check the volume, then restart"
    return f"{error.filename or path} cannot be used for updates: {cause}; {remedy}"
