"""A disk of a test's own: ext4 in a file, which can lose its power."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from e2e.box import Box

SIZE_BYTES = 192 * 1024 * 1024
DEADLINE_S = 60

LAZY = "commit=300"
"""The journal is written when somebody syncs, and not by itself after five seconds."""


class Disk:
    """`with` makes it, with a file system that belongs to uid 1000, and mounts it. `mounted` is where.

    Args:
        directory: An empty one, on another file system than the disk's.
        options: Of the mount.
    """

    def __init__(
        self, directory: Path, *, size_bytes: int = SIZE_BYTES, options: str = LAZY
    ) -> None:
        self._directory, self._size_bytes, self._options = directory, size_bytes, options
        self._copies = 0
        self._image = directory / "disk-0"
        self.mounted = directory / "mounted-0"

    @staticmethod
    def obstacle() -> str | None:
        """Why none can be made here, or None."""
        if os.geteuid() != 0:
            return "a disk of one's own takes root"
        if not Path("/dev/loop-control").exists():
            return "a disk of one's own takes loop devices, which this machine does not have"
        if shutil.which("mkfs.ext4") is None:
            return "a disk of one's own takes mkfs.ext4, which is not on PATH"
        return None

    def __enter__(self) -> Self:
        with self._image.open("wb") as file:
            file.truncate(self._size_bytes)
        _run("mkfs.ext4", "-q", "-m", "0", "-E", "root_owner=1000:1000", self._image)
        self._mount()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for mounted in self._directory.glob("mounted-*"):
            _run("umount", mounted)
            mounted.rmdir()

    def cut(self) -> Disk:
        """The disk as it is when the power goes now: what has only been in memory is lost. The old one goes on."""
        copy = Disk(self._directory, size_bytes=self._size_bytes, options=self._options)
        copy._copies = self._copies + 1
        copy._image = self._directory / f"disk-{copy._copies}"
        copy.mounted = self._directory / f"mounted-{copy._copies}"
        _run("cp", "--sparse=always", self._image, copy._image)
        copy._mount()
        return copy

    async def volume(self, box: Box) -> str:
        """A named volume on it."""
        where = ("--opt", "type=none", "--opt", f"device={self.mounted}", "--opt", "o=bind")
        return await box.volume(*where)

    def _mount(self) -> None:
        self.mounted.mkdir()
        _run("mount", "-o", f"loop,{self._options}", self._image, self.mounted)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE_S)
