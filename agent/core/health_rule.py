"""Whether a container that was just started is well, by what the engine says of it look after look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

STEADY_S = 5.0
"""What fails at its start fails within a second or two; a slow interpreter takes until its imports are done."""

STEADY_AFTER_CRASH_S = 10.0
"""By then the engine itself forgives a crash: a container that ran so long is restarted without delay again."""

CRASHES_ARE_A_LOOP = 5
"""With the engine's pauses between them, 0.1 s and twice as long each time, that is more than 3 s of trying."""

UNHEALTHY_TOLERATED_S = 30.0
"""A health check without a start period fails while the program still starts; at most half the time is given to it."""

LOOK_EVERY_S = 1.0
_LOOK_AGAIN_S = 0.05  # never so soon that the engine does nothing but answer

_ENDS_BY_ITSELF = frozenset({"", "no", "on-failure"})
"""Restart policies under which a container that exits with 0 has done its work."""


@dataclass(frozen=True, slots=True)
class Healthy:
    """It runs steadily, its health check says so, or it has done its work and exited with 0."""


@dataclass(frozen=True, slots=True)
class Unhealthy:
    """`reason` reads on after the container's name: "it exited with code 1"."""

    reason: str


Verdict = Healthy | Unhealthy


class HealthWatch:
    """The watch over one start of one container; instants are those of one clock, in seconds.

    Without a HEALTHCHECK it has to run for `STEADY_S` without a restart, or as long as it may take if that is less.

    Args:
        timeout_s: How long it may take until it is well, from the first look.
        restart_policy: The policy's name, "" if it has none.
    """

    def __init__(self, *, timeout_s: float, restart_policy: str) -> None:
        self._timeout_s = timeout_s
        self._ends_by_itself = restart_policy in _ENDS_BY_ITSELF
        self._began_s: float | None = None
        self._run: tuple[int, str] | None = None
        self._steady_since_s: float | None = None
        self._crashes = 0
        self._last_exit_code: int | None = None
        self.next_look_s = LOOK_EVERY_S
        """How long to wait before the next look."""

    def look(self, state: Json, restart_count: int, at_s: float) -> Verdict | None:
        """Judges by one inspection: its `State` and `RestartCount`. None: it is too early to tell."""
        if self._began_s is None:
            self._began_s = at_s
        elapsed_s = at_s - self._began_s
        self._count_crashes(state, restart_count)
        verdict = self._judge(state, at_s, elapsed_s)
        if verdict is None and elapsed_s >= self._timeout_s:
            verdict = Unhealthy(self._why_not_yet(state))
        self.next_look_s = min(LOOK_EVERY_S, max(_LOOK_AGAIN_S, self._timeout_s - elapsed_s))
        return verdict

    def _count_crashes(self, state: Json, restart_count: int) -> None:
        # Between two looks it may crash and run again: only the count, or the instant of its start, tells.
        run = restart_count, str(state.get("StartedAt"))
        if self._run is None:
            self._crashes = restart_count
        elif run != self._run:
            self._crashes = max(self._crashes + 1, restart_count)
            self._steady_since_s = None
        self._run = run

    def _judge(self, state: Json, at_s: float, elapsed_s: float) -> Verdict | None:
        if _is(state, "Restarting"):
            self._last_exit_code = _exit_code(state)
        if self._crashes >= CRASHES_ARE_A_LOOP:
            return Unhealthy(f"it keeps crashing: {self._history()}")
        match _situation(state):
            case "running":
                return self._judge_running(state, at_s, elapsed_s)
            case "restarting" | "paused":
                self._steady_since_s = None
                return None
            case "created":
                return Unhealthy("it has not been started")
            case "removing" | "dead":
                return Unhealthy("it is being removed")
        return self._judge_exited(state)

    def _judge_running(self, state: Json, at_s: float, elapsed_s: float) -> Verdict | None:
        if self._steady_since_s is None:
            self._steady_since_s = at_s
        steady_s = at_s - self._steady_since_s
        if self._crashes and steady_s < STEADY_AFTER_CRASH_S:
            return None
        match _health(state):
            case "healthy":
                return Healthy()
            case "unhealthy":
                tolerated_s = min(UNHEALTHY_TOLERATED_S, self._timeout_s / 2)
                return None if elapsed_s < tolerated_s else Unhealthy("its health check fails")
            case "starting":
                return None
        return Healthy() if steady_s >= min(STEADY_S, self._timeout_s) else None

    def _judge_exited(self, state: Json) -> Verdict:
        exit_code = _exit_code(state)
        if exit_code == 0 and self._ends_by_itself:
            return Healthy()
        out_of_memory = ", out of memory" if _is(state, "OOMKilled") else ""
        crashes = f", {self._history()}" if self._crashes else ""
        return Unhealthy(f"it exited with code {exit_code}{out_of_memory}{crashes}")

    def _why_not_yet(self, state: Json) -> str:
        within = f"within {self._timeout_s:.0f} s"
        if _situation(state) == "paused":
            return "it is paused"
        if self._crashes:
            return f"it did not run steadily {within}: {self._history()}"
        if _health(state):
            return f"its health check did not succeed {within}"
        return f"it did not run steadily {within}"

    def _history(self) -> str:
        times = "once" if self._crashes == 1 else f"{self._crashes} times"
        code = self._last_exit_code
        return f"restarted {times}" + (f", exit code {code}" if code is not None else "")


def _situation(state: Json) -> str:
    # The engine calls a container running while it waits to be restarted, and while it is paused.
    if _is(state, "Restarting"):
        return "restarting"
    if _is(state, "Paused"):
        return "paused"
    if _is(state, "Dead"):
        return "dead"
    return "running" if _is(state, "Running") else str(state.get("Status"))


def _health(state: Json) -> str:
    """What its HEALTHCHECK says; "" without one."""
    health = state.get("Health")
    status = health.get("Status") if isinstance(health, dict) else None
    return status if isinstance(status, str) and status != "none" else ""


def _exit_code(state: Json) -> int | None:
    code = state.get("ExitCode")
    return code if isinstance(code, int) else None


def _is(state: Json, flag: str) -> bool:
    return state.get(flag) is True
