"""How long a release may be silent, unregistered, or slow to end: one life of it, as a pure machine over time."""

from __future__ import annotations

from agent.launcher.record import Record

NOTHING, TERMINATE, KILL, GIVE_UP = "nothing", "terminate", "kill", "give up"
UNPROVEN = "unproven"
"""What is to be done now. GIVE_UP: it does not go, whatever is done; nobody is to wait any longer.
UNPROVEN is told once: the release has not registered in the time that the one before had."""


class Limits(Record):
    """Times in seconds.

    Attributes:
        silence_s: Without a heartbeat, which comes every 5 s. A loop that has stalled ends itself after 30.
        grace_s: From SIGTERM to SIGKILL; `docker stop` allows 10 for all of it.
        gone_s: From SIGKILL to the end of all waiting: one that hangs in the kernel may never go.
        drain_s: From an accepted switch to the end of the release that asked for it.
        lapse_s: A longer time between two looks means that the launcher did not run either (a paused container, a
            machine asleep), and counts for nothing.
    """

    silence_s: float = 40.0
    grace_s: float = 8.0
    gone_s: float = 10.0
    drain_s: float = 60.0
    lapse_s: float = 10.0


DEFAULT = Limits()
"""What releases can rely on; docs/reference/launcher.md tells these times."""


class Watch:
    """From the start of a release to its end. `look()` decides; the rest tells what has happened.

    Args:
        limits: Times.
        now_s: Monotonic, like every `now_s` here.
        trial_s: Time to be registered within, for a release on trial; None: it is not.
        proof_s: Time in which an old release shows that the server can be reached at all; None: nobody asks.

    Attributes:
        is_registered: Whether the release said so in this life.
        why: Why it is being ended; "" while it is not.
    """

    def __init__(
        self,
        limits: Limits,
        now_s: float,
        *,
        trial_s: float | None = None,
        proof_s: float | None = None,
    ) -> None:
        self._limits = limits
        self._looked_s = now_s
        self._silent_at = now_s + limits.silence_s
        self._trial_at = None if trial_s is None else now_s + trial_s
        self._proof_at = None if proof_s is None else now_s + proof_s
        self._trial_s = trial_s
        self._drain_at: float | None = None
        self._kill_at: float | None = None
        self._gone_at: float | None = None
        self.is_registered = False
        self.is_late = False
        self.why = ""

    @property
    def is_ending(self) -> bool:
        """Whether it was told to end: what it achieves from now on comes too late."""
        return self._kill_at is not None

    def heard(self, now_s: float) -> None:
        """A heartbeat."""
        self._silent_at = now_s + self._limits.silence_s

    def registered(self) -> None:
        self.is_registered = True
        self._trial_at = self._proof_at = None

    def switching(self, now_s: float) -> None:
        """A switch was accepted: the release has to drain and end."""
        self._drain_at = now_s + self._limits.drain_s

    def end(self, now_s: float, why: str) -> str:
        """It is to end now. TERMINATE the first time, NOTHING afterwards."""
        if self._kill_at is not None:
            return NOTHING
        self.why, self._kill_at = why, now_s + self._limits.grace_s
        return TERMINATE

    def look(self, now_s: float) -> str:
        """What is due."""
        self._forgive(now_s)
        if self._kill_at is not None:
            return self._look_at_its_end(now_s, self._kill_at)
        if self._trial_at is not None and now_s >= self._trial_at:
            self.is_late = True
            return self.end(now_s, f"was not registered within {self._trial_s:g} s")
        if self._drain_at is not None and now_s >= self._drain_at:
            return self.end(now_s, f"did not end within {self._limits.drain_s:g} s of a switch")
        if now_s >= self._silent_at:
            return self.end(now_s, f"gave no sign of life for {self._limits.silence_s:g} s")
        if self._proof_at is not None and now_s >= self._proof_at:
            self._proof_at = None
            return UNPROVEN
        return NOTHING

    def wakes_at(self) -> float:
        """When `look()` has to be called at the latest."""
        if self._kill_at is not None:
            ends_at = self._kill_at if self._gone_at is None else self._gone_at
            return min(ends_at, self._looked_s + self._limits.lapse_s / 2)
        due = [self._silent_at, self._looked_s + self._limits.lapse_s / 2]
        due += [at for at in (self._trial_at, self._proof_at, self._drain_at) if at is not None]
        return min(due)

    def _look_at_its_end(self, now_s: float, kill_at: float) -> str:
        if self._gone_at is None and now_s >= kill_at:
            self._gone_at = now_s + self._limits.gone_s
            return KILL
        if self._gone_at is not None and now_s >= self._gone_at:
            return GIVE_UP
        return NOTHING

    def _forgive(self, now_s: float) -> None:
        lost_s = now_s - self._looked_s - self._limits.lapse_s
        self._looked_s = now_s
        if lost_s <= 0:
            return
        self._silent_at += lost_s
        self._trial_at = _later(self._trial_at, lost_s)
        self._proof_at = _later(self._proof_at, lost_s)
        self._drain_at = _later(self._drain_at, lost_s)
        self._kill_at = _later(self._kill_at, lost_s)
        self._gone_at = _later(self._gone_at, lost_s)


def _later(at: float | None, by_s: float) -> float | None:
    return None if at is None else at + by_s
