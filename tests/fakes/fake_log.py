"""A container's log in memory, as the engine sends it."""

from __future__ import annotations

from fakes.box import Box

from agent.clock import utcnow


def raw_log(box: Box, tail: int, since: str | None, max_bytes: int) -> bytes:
    """The newest lines that fit, multiplexed unless the container has a TTY."""
    wanted = [line for line in box.log if since is None or _unix_ns(line[0]) >= _since_ns(since)]
    pieces = []
    for stamp, stream, text in wanted[-tail:]:
        line = f"{stamp} {text}".encode()
        if box.config.get("Tty"):
            pieces.append(line + b"\r\n")
        else:
            header = bytes([stream, 0, 0, 0]) + (len(line) + 1).to_bytes(4)
            pieces.append(header + line + b"\n")
    while sum(map(len, pieces)) > max_bytes:
        pieces.pop(0)
    return b"".join(pieces)


def _unix_ns(stamp: str) -> int:
    at = utcnow().fromisoformat(f"{stamp[:26]}+00:00")
    return int(at.timestamp()) * 10**9 + int(stamp[20:29])


def _since_ns(since: str) -> int:
    whole, _, fraction = since.partition(".")
    return int(whole) * 10**9 + int(f"{fraction:0<9}")
