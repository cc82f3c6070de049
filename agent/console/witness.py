"""What the engine emitted for the demo's containers, on an event stream that the agent knows nothing of."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import docker
from docker.types.daemon import CancellableStream

from agent.console.throwaway import FAILURES
from agent.hub.shapes import SHORT_ID_LENGTH

CONCERNING = frozenset({"start", "restart", "die", "destroy"})
"""Actions that the server makes something of; it ignores the rest."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Key:
    """An event: whose, by a short ID, its action, and its instant in microseconds as the wire has it."""

    container_id: str
    action: str
    at: datetime


class Witness:
    """Reads until it is closed.

    Args:
        connect: Makes a client for this stream alone.
        label: On all containers whose events are meant. It is so new that the engine still remembers them all.
    """

    def __init__(self, connect: Callable[[], docker.APIClient], label: str) -> None:
        self._connect, self._label = connect, label
        self._seen: list[Key] = []
        self._stream: CancellableStream[dict[str, Any]] | None = None
        self._is_over = False

    @property
    def emitted(self) -> Counter[Key]:
        return Counter(self._seen)

    def watch(self) -> None:
        """Blocks until `close`; returns early when the engine goes away."""
        filters = {"type": "container", "label": self._label}
        with contextlib.suppress(*FAILURES), contextlib.closing(self._connect()) as client:
            self._stream = client.events(since=0, filters=filters, decode=True)
            try:
                if not self._is_over:
                    self._read(self._stream)
            finally:
                self.close()

    def close(self) -> None:
        """Ends `watch`, from any thread."""
        self._is_over = True
        # The engine may have hung up before us.
        with contextlib.suppress(OSError, AttributeError, ValueError):
            if self._stream is not None:
                self._stream.close()

    def _read(self, stream: CancellableStream[dict[str, Any]]) -> None:
        for event in stream:
            if (action := event.get("Action")) in CONCERNING:
                at = _EPOCH + timedelta(microseconds=event["timeNano"] // 1000)
                self._seen.append(Key(event["Actor"]["ID"][:SHORT_ID_LENGTH], action, at))


def received(payload: Mapping[str, Any]) -> Key | None:
    """The same of a `container_event` as the server got it; None if the server ignores it."""
    action = payload.get("action")
    if action not in CONCERNING:
        return None
    at = datetime.fromisoformat(str(payload.get("timestamp")))
    return Key(str(payload.get("container_id"))[:SHORT_ID_LENGTH], action, at)
