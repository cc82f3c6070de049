"""What waits on either side of a terminal, in bounded memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

INPUT_MAX_BYTES = 2 * 1024 * 1024
"""A large paste, which browsers send as one message. Whoever sends more than the process reads is not typing."""

PIECE_BYTES = 16 * 1024
"""So much input is written at once: a process that reads slowly has its time for each piece of a paste."""

FRAME_BYTES = 16 * 1024

OUTPUT_HIGH_BYTES = 64 * 1024
"""So much may wait for the link; then the process has to."""

OUTPUT_LOW_BYTES = FRAME_BYTES


@dataclass(frozen=True, slots=True)
class Size:
    """Of a terminal, in characters."""

    columns: int
    rows: int


class InputFull(Exception):
    """More input waits than may. Nothing was added."""


class InputQueue:
    """What was typed and which sizes the window had, in order.

    Neighbours of a kind are joined, so that the bound on bytes is one on items as well.
    """

    def __init__(self, max_bytes: int = INPUT_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._items: deque[bytearray | Size] = deque()
        self._bytes = 0

    def type(self, data: bytes) -> None:
        """Adds input.

        Raises:
            InputFull: As it says.
        """
        if self._bytes + len(data) > self._max_bytes:
            raise InputFull
        self._bytes += len(data)
        if self._items and isinstance(last := self._items[-1], bytearray):
            last += data
        elif data:
            self._items.append(bytearray(data))

    def resize(self, size: Size) -> None:
        """Adds a size; one that nothing was typed at is forgotten for it."""
        if self._items and isinstance(self._items[-1], Size):
            self._items.pop()
        self._items.append(size)

    def take(self) -> bytes | Size | None:
        """The next thing to do, or None."""
        if not self._items:
            return None
        item = self._items[0]
        if isinstance(item, Size):
            self._items.popleft()
            return item
        piece = bytes(item[:PIECE_BYTES])
        del item[:PIECE_BYTES]
        self._bytes -= len(piece)
        if not item:
            self._items.popleft()
        return piece


class OutputBuffer:
    """What a process wrote and the link has not taken."""

    def __init__(self) -> None:
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def add(self, data: bytes) -> None:
        self._data += data

    def take(self) -> bytes:
        """As much as goes into one frame, oldest first; b"" if there is nothing."""
        frame = bytes(self._data[:FRAME_BYTES])
        del self._data[:FRAME_BYTES]
        return frame

    @property
    def is_full(self) -> bool:
        """Whether the process should write no more for now."""
        return len(self._data) >= OUTPUT_HIGH_BYTES

    @property
    def has_room(self) -> bool:
        """Whether a process that was made to wait may go on. Apart from `is_full`, lest it starts and stops with each
        frame."""
        return len(self._data) <= OUTPUT_LOW_BYTES
