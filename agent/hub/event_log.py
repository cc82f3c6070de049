"""What the UI lists as the events of a host."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

from agent.hub.host import Host
from agent.hub.shapes import ErrorMessage, SelfUpdateProgress, read

ENTRIES_PER_HOST = 10_000

Kind = Literal["host", "container", "update", "self_update", "deployment", "error"]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """`at` is loop time in seconds; `container_id` None: it concerns the host as a whole."""

    at: float
    kind: Kind
    text: str
    container_id: str | None = None
    failed: bool = False


class EventLog:
    """Keeps the newest ten thousand entries of each host."""

    def __init__(self) -> None:
        self._entries: dict[str, deque[LogEntry]] = {}

    def of(self, host_id: str) -> list[LogEntry]:
        return list(self._entries.get(host_id, ()))

    def add(
        self,
        host_id: str,
        kind: Kind,
        text: str,
        container_id: str | None = None,
        *,
        failed: bool = False,
    ) -> None:
        entry = LogEntry(asyncio.get_running_loop().time(), kind, text, container_id, failed)
        self._entries.setdefault(host_id, deque(maxlen=ENTRIES_PER_HOST)).append(entry)

    def take_error(self, host: Host, message: Any) -> None:
        """A top-level `error` of the agent."""
        error = read(ErrorMessage, message)
        text = ": ".join(filter(None, [error.error, error.details]))
        self.add(host.id, "error", text, error.container_id, failed=True)

    def take_self_update(self, host: Host, payload: Any) -> None:
        """Only a stage that failed is worth an entry."""
        progress = read(SelfUpdateProgress, payload)
        if progress.error:
            text = f"Agent self-update failed in {progress.stage}: {progress.error}"
            self.add(host.id, "self_update", text, failed=True)
