"""The end of a container's log, in bounded memory."""

from __future__ import annotations

from collections import deque

_HEADER_BYTES = 8
_STREAMS = (0, 1, 2)  # stdin, stdout, stderr: the first byte of a frame's header


class LogTail:
    """Takes a log as it comes and keeps the newest `max_bytes`, cut between frames.

    Without a TTY the engine multiplexes: each frame has 8 bytes of header (the stream, three
    zeros, the payload's length as a big-endian uint32). With a TTY there are only lines, and
    since every line starts with its timestamp, the first byte of all tells which it is.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._rest = bytearray()
        self._skip_bytes = 0  # of a frame larger than everything that may be kept
        self._has_frames: bool | None = None

    def feed(self, data: bytes) -> None:
        if self._has_frames is None and data:
            self._has_frames = data[0] in _STREAMS
        skipped = min(self._skip_bytes, len(data))
        self._skip_bytes -= skipped
        self._rest += memoryview(data)[skipped:]
        start = 0
        while (end := self._piece_end(start)) is not None:
            if end > len(self._rest):  # a frame that is too large: neither it nor what was before
                self._skip_bytes = end - len(self._rest)
                end = len(self._rest)
                self._kept.clear()
                self._kept_bytes = 0
            else:
                self._keep(bytes(self._rest[start:end]))
            start = end
        del self._rest[:start]

    def value(self) -> bytes:
        """All that was kept. A last line may lack its end, a frame may not."""
        if not self._has_frames:
            self._keep(bytes(self._rest))
            self._rest.clear()
        return b"".join(self._kept)

    def _piece_end(self, start: int) -> int | None:
        """Where the piece that starts at `start` ends, or None while that cannot be told."""
        rest = self._rest
        if not self._has_frames:
            if end := rest.find(b"\n", start) + 1:
                return end
            # A line that is too large is lost as well.
            return len(rest) if len(rest) - start > self._max_bytes else None
        if len(rest) - start < _HEADER_BYTES:
            return None
        size = _HEADER_BYTES + int.from_bytes(rest[start + 4 : start + _HEADER_BYTES])
        return start + size if size > self._max_bytes or start + size <= len(rest) else None

    def _keep(self, piece: bytes) -> None:
        self._kept.append(piece)
        self._kept_bytes += len(piece)
        while self._kept_bytes > self._max_bytes:
            self._kept_bytes -= len(self._kept.popleft())
