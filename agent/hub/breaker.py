"""The server's circuit breaker: what keeps it from asking an agent that only fails."""

from __future__ import annotations

from collections import deque

FAILURES = 5
WINDOW_S = 60.0
OPEN_S = 30.0
SUCCESSES_TO_CLOSE = 2


class CircuitBreaker:
    """One per agent. `now` is any clock in seconds, always the same one.

    Closed: five failures within a minute, with no success between them, open it. Open: nothing is sent for
    half a minute. Then requests pass on trial: two successes in a row close it, one failure reopens it.
    """

    def __init__(self) -> None:
        self._failed_at: deque[float] = deque(maxlen=FAILURES)
        self._opened_at: float | None = None
        self._successes = 0

    def allows(self, now: float) -> bool:
        return self._opened_at is None or now - self._opened_at >= OPEN_S

    def succeeded(self, now: float) -> None:
        if not self.allows(now):
            return  # sent before the circuit opened, answered too late to count
        self._successes += 1
        if self._opened_at is None or self._successes == SUCCESSES_TO_CLOSE:
            self._opened_at = None
            self._failed_at.clear()

    def failed(self, now: float) -> None:
        if not self.allows(now):
            return
        self._failed_at.append(now)
        on_trial = self._opened_at is not None
        if on_trial or (len(self._failed_at) == FAILURES and now - self._failed_at[0] <= WINDOW_S):
            self._opened_at = now
            self._successes = 0
