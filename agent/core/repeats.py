"""When to speak of a failure that happens again and again."""

from __future__ import annotations

from dataclasses import dataclass

_SUMMARY_AFTER_S = (60.0, 300.0, 900.0)
"""An operator who watches sees that it goes on; one who looks later finds a few lines, not a wall."""
_SUMMARY_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Report:
    """One line worth logging about a run of failures.

    `count` is how often it failed in the run, `elapsed_s` how long ago the run began.
    """

    count: int
    elapsed_s: float
    recovered: bool = False

    def __str__(self) -> str:
        times = "once" if self.count == 1 else f"{self.count} times"
        if self.recovered:
            return f"recovered after failing {times} in {_rounded(self.elapsed_s)}"
        if self.count == 1:
            return "failed"
        return f"still failing: {times} in {_rounded(self.elapsed_s)}"


@dataclass(slots=True)
class _Run:
    began_s: float
    count: int
    summary_due_s: float


class Repeats:
    """Turns every failure into few reports: the first, summaries, the recovery.

    Summaries are due 1, 5 and 15 minutes after the first failure and every full hour after it;
    they are made by the next failure, never by a timer, so silence means that nothing failed.

    Args:
        max_keys: How many runs are remembered. Beyond it, the one that failed longest ago is
            forgotten, and its next failure counts as a first one.
    """

    def __init__(self, max_keys: int = 256) -> None:
        self._max_keys = max_keys
        self._runs: dict[str, _Run] = {}

    def failed(self, key: str, now_s: float) -> Report | None:
        """What to log about a failure of `key` at `now_s` (loop time); None: nothing this time."""
        run = self._runs.pop(key, None)
        if run is None:
            if len(self._runs) >= self._max_keys:
                del self._runs[next(iter(self._runs))]
            run = _Run(began_s=now_s, count=0, summary_due_s=now_s)
        self._runs[key] = run  # last in the order: the most recent failure
        run.count += 1
        if now_s < run.summary_due_s:
            return None
        elapsed_s = now_s - run.began_s
        run.summary_due_s = run.began_s + _next_summary_s(elapsed_s)
        return Report(run.count, elapsed_s)

    def recovered(self, key: str, now_s: float) -> Report | None:
        """What to log now that `key` works at `now_s` (loop time); None: it had not failed."""
        run = self._runs.pop(key, None)
        return None if run is None else Report(run.count, now_s - run.began_s, recovered=True)


def _next_summary_s(elapsed_s: float) -> float:
    for due_s in _SUMMARY_AFTER_S:
        if elapsed_s < due_s:
            return due_s
    return (elapsed_s // _SUMMARY_EVERY_S + 1) * _SUMMARY_EVERY_S


def _rounded(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.0f} days"
