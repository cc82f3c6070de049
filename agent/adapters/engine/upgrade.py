"""The engine's answer to a request for the connection itself."""

from __future__ import annotations

from collections.abc import Mapping

from agent.adapters.engine.errors import refused
from agent.ports import EngineRefused

_HEAD_MAX_BYTES = 16 * 1024
_BODY_MAX_BYTES = 64 * 1024

_RAW = "application/vnd.docker.raw-stream"


class Upgrade:
    """Takes what comes until it is clear whether the connection is ours.

    Engines answer 101, or 200 where something in between does not know upgrades, and raw bytes follow either.
    """

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """Returns what follows the answer once it is here, None before.

        Raises:
            EngineRefused: The answer is another.
        """
        self._data += data
        head, end, body = bytes(self._data).partition(b"\r\n\r\n")
        if not end:
            if len(head) > _HEAD_MAX_BYTES:
                raise _nonsense()
            return None
        status, reason, headers = _parsed(head)
        if status == 101 or (status == 200 and headers.get("content-type") == _RAW):
            return body
        length = headers.get("content-length", "")
        expected = int(length) if length.isdecimal() else 0
        if len(body) < min(expected, _BODY_MAX_BYTES):
            return None
        raise _nonsense() if status < 300 else refused(status, reason, body)


def _parsed(head: bytes) -> tuple[int, str, Mapping[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not (status.isdecimal() and len(status) == 3):
        raise _nonsense()
    pairs = (line.partition(":") for line in lines)
    return int(status), reason, {name.strip().lower(): value.strip() for name, _, value in pairs}


def _nonsense() -> EngineRefused:
    return EngineRefused(
        "What answers is no Docker engine: it gave no connection for a terminal", 200
    )
