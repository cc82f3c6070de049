"""HTTP servers in containers, looked at from outside."""

from __future__ import annotations

from typing import Protocol

from agent.core.health_checks import HealthCheck
from agent.core.health_results import Outcome


class HttpProbe(Protocol):
    """Asks for one URL, as a health check says."""

    async def probe(self, check: HealthCheck) -> Outcome:
        """Returns after `check.timeout_s` seconds at the latest. Never raises: a failure is an outcome."""

    async def rest(self) -> None:
        """Closes what is kept open for the next probe, which may come nevertheless."""
