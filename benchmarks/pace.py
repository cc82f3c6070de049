"""How often samples come, told from when they came: a window of 30 s has 30 or 31 of one a second, as it happens."""

from __future__ import annotations


class Pace:
    """Of each container how many samples came, when the first one did, and when the last."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float, float]] = {}

    def note(self, container: str, at_s: float) -> None:
        count, first_s, _ = self._seen.get(container, (0, at_s, at_s))
        self._seen[container] = count + 1, first_s, at_s

    def samples_per_s(self) -> float:
        """Of all containers together. One that came once has no pace yet, and counts for nothing."""
        return sum(
            (count - 1) / (last_s - first_s)
            for count, first_s, last_s in self._seen.values()
            if last_s > first_s
        )
