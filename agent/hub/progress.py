"""How far updates have come: what the UI is told of each container's."""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeVar

from agent.hub.host import Host
from agent.hub.shapes import (
    SHORT_ID_LENGTH,
    AgentProgress,
    LayerProgress,
    UpdateProgress,
    read,
)

KEPT = 10_000

ProgressT = TypeVar("ProgressT", UpdateProgress, LayerProgress, AgentProgress)


class Track(Generic[ProgressT]):
    """Every report of one kind, by host and container; the newest ten thousand of each."""

    def __init__(self, shape: type[ProgressT]) -> None:
        self._shape: type[ProgressT] = shape
        self._reports: dict[tuple[str, str], deque[ProgressT]] = {}

    def take(self, host: Host, payload: Any) -> None:
        report = read(self._shape, payload)
        key = host.id, report.container_id
        self._reports.setdefault(key, deque(maxlen=KEPT)).append(report)

    def of(self, host_id: str, container_id: str) -> list[ProgressT]:
        """In order of arrival; `container_id` in any length."""
        return list(self._reports.get((host_id, container_id[:SHORT_ID_LENGTH]), ()))
