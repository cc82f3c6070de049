"""How long to wait before trying again."""

from __future__ import annotations

import random
from dataclasses import dataclass

FLOOR_S = 0.25
"""No retry sooner than this, so that a server which refuses at once is not asked a hundred times a second."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter under a ceiling that doubles from `initial_s` to `max_s`.

    Full jitter (uniform from the floor to the ceiling) spreads a fleet that lost its server at the same moment best:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    initial_s: float
    max_s: float

    def ceiling_s(self, failures: int) -> float:
        """The ceiling after `failures` failures in a row (1 = the first)."""
        doublings = min(failures - 1, 64)  # far beyond any ceiling, far below a float's end
        return min(self.max_s, self.initial_s * 2.0**doublings)

    def delay_s(self, failures: int, rng: random.Random) -> float:
        """A delay to wait now, in whole milliseconds so that logs show what was done."""
        ceiling_s = self.ceiling_s(failures)
        return round(rng.uniform(min(FLOOR_S, ceiling_s), ceiling_s), 3)
