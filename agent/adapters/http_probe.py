"""The port `HttpProbe`, at no cost before the first check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.core.health_checks import HealthCheck
from agent.core.health_results import Outcome

if TYPE_CHECKING:
    from agent.adapters.httpx_probe import HttpxProbe


class LazyHttpProbe:
    """An `HttpxProbe` that is made when it is needed: httpx takes megabytes, and most hosts have no checks."""

    def __init__(self) -> None:
        self._probe: HttpxProbe | None = None

    async def probe(self, check: HealthCheck) -> Outcome:
        if self._probe is None:
            from agent.adapters.httpx_probe import HttpxProbe

            self._probe = HttpxProbe()
        return await self._probe.probe(check)

    async def rest(self) -> None:
        if self._probe is not None:
            await self._probe.rest()
