"""What agents find when they check the health of containers over HTTP."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.clock import utcnow
from agent.hub.host import Host
from agent.hub.shapes import SHORT_ID_LENGTH, Dropped, HealthResult, read

logger = logging.getLogger(__name__)

RESULTS_PER_CHECK = 10_000


@dataclass(frozen=True, slots=True)
class Checked:
    """`at` is the result's own timestamp (aware); the moment of its arrival, if that could not be read."""

    at: datetime
    result: HealthResult


class Checks:
    """The newest ten thousand results of each check that the host has."""

    def __init__(self) -> None:
        self._results: dict[tuple[str, str], deque[Checked]] = {}

    def take(self, host: Host, payload: Any) -> None:
        """Keeps a result of a check that the host still has.

        Raises:
            Dropped: It is no result; one with a bad timestamp is kept all the same.
        """
        result = read(HealthResult, payload)
        if not any(
            str(check.get("container_id"))[:SHORT_ID_LENGTH] == result.container_id
            for check in host.health_checks
        ):
            # Deleted while the agent was connected: it learns of that at its next connect.
            logger.warning("ignoring a result of %s: it has no health check", result.container_id)
            return
        at = _instant(result.timestamp)
        key = host.id, result.container_id
        results = self._results.setdefault(key, deque(maxlen=RESULTS_PER_CHECK))
        results.append(Checked(at or utcnow(), result))
        if at is None:
            raise Dropped(f"the timestamp is none: {result.timestamp!r}")

    def of(self, host_id: str, container_id: str) -> list[Checked]:
        """In order of arrival; `container_id` in any length."""
        return list(self._results.get((host_id, container_id[:SHORT_ID_LENGTH]), ()))


def _instant(text: str | None) -> datetime | None:
    """None: there is none in it, or one without an offset."""
    try:
        instant = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return instant if instant.tzinfo else None
