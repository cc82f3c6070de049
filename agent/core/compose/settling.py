"""When to stop waiting for services to become healthy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from agent.core.compose.services import Replica

STEADY_S = 3.0
"""A container has to run for this long without an end: one that crashes at once looks fine for a moment."""


@dataclass(frozen=True, slots=True)
class _Run:
    started_at: str
    seen_since_s: float
    is_first: bool


class Settling:
    """Looks at a project again and again, until all is fine, or something never will be, or time is up."""

    def __init__(self, *, timeout_s: float, at_s: float) -> None:
        self._until_s, self._at_s = at_s + timeout_s, at_s
        self._runs: dict[str, _Run] = {}

    def look(self, found: Sequence[Replica], at_s: float) -> bool:
        """Whether there is nothing more to wait for at `at_s` (the loop's time)."""
        self._at_s = at_s
        for each in found:
            self._notice(each)
        if at_s >= self._until_s:
            return True
        if any(each.is_finished and not each.is_fine(awaited=True) for each in found):
            return True
        return all(each.is_fine(awaited=True) and self._is_steady(each) for each in found)

    def corrected(self, found: Iterable[Replica]) -> list[Replica]:
        """`found` with what was seen to crash again and again as restarting, though it may be running just now."""
        return [
            replace(each, status="restarting") if self._crashes(each) else each for each in found
        ]

    def _notice(self, each: Replica) -> None:
        run = self._runs.get(each.container_id)
        if run is None or run.started_at != each.started_at:
            is_first = run is None
            self._runs[each.container_id] = _Run(each.started_at, self._at_s, is_first)

    def _is_steady(self, each: Replica) -> bool:
        run = self._runs[each.container_id]
        return not each.is_running or self._at_s - run.seen_since_s >= STEADY_S

    def _crashes(self, each: Replica) -> bool:
        run = self._runs.get(each.container_id)
        if run is None or not each.is_running:
            return False
        has_restarted = not run.is_first or run.started_at != each.started_at
        return has_restarted and not self._is_steady(each)
