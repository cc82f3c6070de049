"""The updates that are under way: each is a chart that the runtime conducts, and is seen to its end."""

from __future__ import annotations

import asyncio

from agent.core.chart import Chart
from agent.core.container_update import ContainerUpdate, Update
from agent.core.own_container import OwnContainer
from agent.features.claims import Claims
from agent.features.container_update.attempt import Attempt
from agent.features.container_update.endings import Endings
from agent.features.container_update.reporting import Reporter
from agent.features.container_update.steps import Steps
from agent.ports import Services


class UnderWay:
    """Begins updates. `command_id in under_way` tells whether one is."""

    def __init__(
        self,
        services: Services,
        reporter: Reporter,
        endings: Endings,
        *,
        own: OwnContainer | None,
        claims: Claims,
    ) -> None:
        self._services, self._reporter, self._endings = services, reporter, endings
        self._own, self._claims = own, claims
        self._chart = Chart.load("container_update")
        self._ids: set[str] = set()

    def __contains__(self, command_id: str) -> bool:
        return command_id in self._ids

    def begin(self, update: Update, attempt: Attempt, *, at: str | None = None) -> None:
        """Claims what it works on and starts it, in the state `at` if a process before us began it.

        Raises:
            CommandFailed: Something of it is being updated already.
        """
        machine = ContainerUpdate(self._chart, update, at=at)
        steps = Steps(
            self._services,
            attempt,
            self._reporter,
            command_id=update.command_id,
            own=self._own,
            claims=self._claims,
        )
        steps.claim(update)
        self._ids.add(update.command_id)
        ended = self._services.conduct(machine, steps.by_name(), subject=update.name)
        following = self._follow(machine, ended, attempt)
        self._services.detach(following, f"update of {update.name}")

    async def _follow(
        self, machine: ContainerUpdate, ended: asyncio.Future[str], attempt: Attempt
    ) -> None:
        try:
            await asyncio.wait({ended})
            if not ended.cancelled():
                await self._endings.conclude(ended.result(), machine.memory, attempt)
        finally:
            self._claims.release(machine.memory.command_id)
            self._ids.discard(machine.memory.command_id)
