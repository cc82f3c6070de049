"""What the engine emitted for one container, on an event stream that the agent knows nothing of."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import docker
from docker.types.daemon import CancellableStream

from agent.console.throwaway import FAILURES

CONCERNING = frozenset({"start", "restart", "die", "destroy"})
"""Actions that the server makes something of; it ignores the rest."""

Key = tuple[str, datetime]
"""An event: its action and its instant, in microseconds as the wire has it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Witness:
    """Reads until the container is destroyed.

    Args:
        connect: Makes a client for this stream alone.
        container_id: Of a container so new that the engine still remembers all its events.
    """

    def __init__(self, connect: Callable[[], docker.APIClient], container_id: str) -> None:
        self._connect, self._container_id = connect, container_id
        self._seen: list[Key] = []
        self._stream: CancellableStream[dict[str, Any]] | None = None

    @property
    def emitted(self) -> Counter[Key]:
        return Counter(self._seen)

    def watch(self) -> None:
        """Blocks until it has seen the end; returns early when the engine goes away, or at `close`."""
        filters = {"type": "container", "container": self._container_id}
        with contextlib.suppress(*FAILURES), contextlib.closing(self._connect()) as client:
            self._stream = client.events(since=0, filters=filters, decode=True)
            try:
                for event in self._stream:
                    if (action := event.get("Action")) in CONCERNING:
                        at = _EPOCH + timedelta(microseconds=event["timeNano"] // 1000)
                        self._seen.append((action, at))
                    if action == "destroy":
                        break
            finally:
                self.close()

    def close(self) -> None:
        """Ends `watch`, from any thread."""
        # The engine may have hung up before us.
        with contextlib.suppress(OSError, AttributeError, ValueError):
            if self._stream is not None:
                self._stream.close()


def received(payload: Mapping[str, Any]) -> Key | None:
    """The same of a `container_event` as the server got it; None if the server ignores it."""
    action = payload.get("action")
    if action not in CONCERNING:
        return None
    return action, datetime.fromisoformat(str(payload.get("timestamp")))
