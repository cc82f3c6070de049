"""A container's log: from the engine's raw form to the text of a reply."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agent.core.steps import Pace, Steps

HEADER_BYTES = 8
"""Before each piece of a multiplexed log: the stream's number, three zeros, the piece's length (big-endian)."""

NOTICE = "[older lines left out: the log is larger than a reply may be]"

MAX_BYTES_PER_CHARACTER = 6  # \u0000 in JSON; UTF-8 takes four at most

STEP_BYTES = 64 * 1024
"""Of a log, between two pauses: one to two milliseconds of work."""

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)(?: |$)")
_STREAMS = {bytes([number, 0, 0, 0]): number for number in range(4)}
_TTY = -1

_json = json.JSONEncoder(ensure_ascii=False).encode


def log_text(raw: bytes, max_bytes: int, now: datetime) -> Steps[str]:
    r"""`raw`, read with `timestamps=1`, as lines `STAMP TEXT` in the order of time, joined by `\n`.

    The largest takes a fifth of a second in all, so it pauses all along.

    A stamp is RFC 3339 in UTC with nine digits and a `Z`. A line that came without one has that of the line before it
    in its stream, else of the one after it, else `now`. The order within each stream is never changed, even where its
    stamps go back. What is not UTF-8 is replaced.

    Args:
        raw: Multiplexed, or the bytes of a TTY: a multiplexed log begins with a byte below 4, a TTY's with a digit.
        max_bytes: What the text may cost as a JSON string. Beyond it the oldest lines are left out, and a first line
            says so.
    """
    lines = yield from _lines(raw)
    rendered = yield from _rendered(lines, now)
    return (yield from _newest(rendered, max_bytes))


# --- Lines


@dataclass(slots=True)
class _Line:
    stream: int
    pieces: list[bytes] = field(default_factory=list)

    def read(self) -> tuple[str, bytes]:
        """The stamp, "" if there is none, and the text."""
        whole = self.pieces[0]
        if len(self.pieces) > 1:
            # The engine writes a line over 16 KiB in pieces and stamps each of them.
            is_stamped = _STAMP.match(whole) is not None
            whole += b"".join(
                piece[match.end() :] if is_stamped and (match := _STAMP.match(piece)) else piece
                for piece in self.pieces[1:]
            )
        match = _STAMP.match(whole)
        stamp = _normal(*match.groups()) if match else ""
        return stamp, whole[match.end() :] if match and stamp else whole


def _frames(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """(stream, bytes) for each piece in order. What is no frame, and all after it, counts as a TTY's."""
    at = 0
    while at < len(raw):
        stream = _STREAMS.get(raw[at : at + 4], _TTY)
        if stream == _TTY:
            yield from ((_TTY, data) for data in _pieces(raw, at))
            return
        begin = at + HEADER_BYTES
        at = begin + int.from_bytes(raw[at + 4 : begin])
        yield stream, raw[begin:at]


def _pieces(raw: bytes, at: int) -> Iterator[bytes]:
    """What follows `at`, cut after ends of lines: so that no cut can be taken for one of the engine's."""
    while at < len(raw):
        end = raw.find(b"\n", at + STEP_BYTES) + 1 or len(raw)
        yield raw[at:end]
        at = end


def _lines(raw: bytes) -> Steps[list[_Line]]:
    """Lines in the order in which they began."""
    lines: list[_Line] = []
    unfinished: dict[int, _Line] = {}
    pace = Pace(STEP_BYTES)
    for stream, data in _frames(raw):
        if pace.is_up(HEADER_BYTES + len(data)):
            yield
        *finished, rest = data.split(b"\n")
        for piece in finished:
            if (line := unfinished.pop(stream, None)) is None:
                line = _Line(stream)
                lines.append(line)
            line.pieces.append(piece)
        if rest:
            if stream not in unfinished:
                lines.append(_Line(stream))
                unfinished[stream] = lines[-1]
            unfinished[stream].pieces.append(rest)
    return lines


def _normal(seconds: bytes, fraction: bytes | None, zone: bytes) -> str:
    text = seconds.decode()
    if zone != b"Z":
        try:
            instant = datetime.fromisoformat(text + zone.decode())
            text = instant.astimezone(UTC).isoformat()[: len(text)]
        except (ValueError, OverflowError):
            return ""
    return f"{text}.{(fraction or b'').decode():0<9}Z"


# --- Order


def _rendered(lines: list[_Line], now: datetime) -> Steps[list[str]]:
    pace = Pace(STEP_BYTES)
    entries: list[tuple[int, str, bytes]] = []
    first: dict[int, str] = {}
    for line in lines:
        stamp, text = line.read()
        entries.append((line.stream, stamp, text))
        if stamp:
            first.setdefault(line.stream, stamp)
        if pace.is_up(HEADER_BYTES + len(text)):
            yield
    otherwise = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"
    last: dict[int, str] = {}
    newest: dict[int, str] = {}
    ordered: list[tuple[str, str]] = []
    for stream, stamp, text in entries:
        stamp = stamp or last.get(stream) or first.get(stream) or otherwise
        last[stream] = stamp
        # A clock that was set back must not tear a stream's lines out of their order.
        newest[stream] = max(stamp, newest.get(stream, ""))
        decoded = text.removesuffix(b"\r").decode("utf-8", "replace")
        ordered.append((newest[stream], f"{stamp} {decoded}"))
        if pace.is_up(len(stamp) + len(text)):
            yield
    ordered.sort(key=lambda entry: entry[0])  # stable: equal stamps stay as they came
    return [line for _, line in ordered]


# --- Size


def _newest(lines: list[str], max_bytes: int) -> Steps[str]:
    if MAX_BYTES_PER_CHARACTER * sum(len(line) + 1 for line in lines) <= max_bytes:
        return "\n".join(lines)
    pace = Pace(STEP_BYTES)
    notice_bytes = _cost_bytes(_notice(lines[-1]))
    used_bytes, kept = 0, len(lines)
    for at in reversed(range(len(lines))):
        used_bytes += _cost_bytes("\n" + lines[at])
        if notice_bytes + used_bytes <= max_bytes:
            kept = at
        elif used_bytes - _cost_bytes("\n") > max_bytes:
            break
        if pace.is_up(len(lines[at])):
            yield
    else:
        return "\n".join(lines)
    if kept == len(lines):
        # Not even the newest line fits: its beginning tells more than nothing.
        room = (max_bytes - notice_bytes - _cost_bytes("\n")) // MAX_BYTES_PER_CHARACTER
        return f"{_notice(lines[-1])}\n{lines[-1][: max(room, 0)]}"
    return "\n".join([_notice(lines[kept]), *lines[kept:]])


def _notice(line: str) -> str:
    return f"{line.partition(' ')[0]} {NOTICE}"


def _cost_bytes(text: str) -> int:
    """What `text` adds to a JSON document, without the quotes around it."""
    return len(_json(text).encode("utf-8", "replace")) - 2
