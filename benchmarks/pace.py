"""How often samples come, told from when they came: a window of 30 s has 30 or 31 of one a second, as it happens."""

from __future__ import annotations

HIDDEN = 2
"""So many may be missing at the edges of a window without anybody having fallen silent."""


class Pace:
    """Of each container how many samples came since `began_s`, when the first one did, and when the last."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._seen: dict[str, tuple[int, float, float]] = {}

    def note(self, container: str, at_s: float) -> None:
        count, first_s, _ = self._seen.get(container, (0, at_s, at_s))
        self._seen[container] = count + 1, first_s, at_s

    def samples_per_s(self, now_s: float) -> float:
        """Of all containers together."""
        window_s = now_s - self._began_s
        return sum(_per_s(*seen, window_s) for seen in self._seen.values())


def _per_s(count: int, first_s: float, last_s: float, window_s: float) -> float:
    if last_s > first_s:
        pace = (count - 1) / (last_s - first_s)
        if count >= pace * window_s - HIDDEN:
            return pace
    return count / window_s  # it was silent for a part of it
