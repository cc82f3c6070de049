"""HTTP servers that a test decides on, behind `HttpProbe`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from agent.core.health_checks import HealthCheck
from agent.core.health_results import Answered, Outcome


def _now_s() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class FakeProbe:
    """Answers each probe with `outcome` after `takes_s`, or raises it.

    Attributes:
        slow: Containers whose answers take as long as their checks wait.
        probes: When (loop time) and for which container each probe began.
        at_once: How many were under way at the same time, at most.
    """

    outcome: Outcome | Exception = field(default_factory=lambda: Answered(200, 5))
    takes_s: float = 0.0
    slow: set[str] = field(default_factory=set)
    probes: list[tuple[float, str]] = field(default_factory=list)
    at_once: int = 0
    rests: int = 0
    _under_way: int = 0

    async def probe(self, check: HealthCheck) -> Outcome:
        self.probes.append((_now_s(), check.container_id))
        self._under_way += 1
        self.at_once = max(self.at_once, self._under_way)
        try:
            is_slow = check.container_id in self.slow
            await asyncio.sleep(check.timeout_s if is_slow else self.takes_s)
        finally:
            self._under_way -= 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def rest(self) -> None:
        assert not self._under_way, "what a probe uses was closed under it"
        self.rests += 1

    def times_s(self, container: str) -> list[float]:
        return [at_s for at_s, probed in self.probes if probed == container]
