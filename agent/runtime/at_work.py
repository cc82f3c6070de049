"""The end of a release in good order: what is under way, and how it is brought to rest."""

from __future__ import annotations

import contextlib
import logging

from agent.ports import LinkClosed
from agent.runtime.delivery import Delivery
from agent.runtime.dispatcher import Dispatcher
from agent.runtime.engine_status import EngineStatus
from agent.runtime.runtime import Runtime
from agent.runtime.session import Session

DRAIN_S = 4.0
FLUSH_S = 3.0

log = logging.getLogger("agent.self_update")


class AtWork:
    """`agent.ports.AtWork`. Long work are the charts that run as jobs, but for the update of the agent itself."""

    def __init__(
        self,
        runtime: Runtime,
        session: Session,
        dispatcher: Dispatcher,
        delivery: Delivery,
        status: EngineStatus,
    ) -> None:
        self._runtime, self._session, self._dispatcher = runtime, session, dispatcher
        self._delivery, self._status = delivery, status
        self._standing = frozenset(runtime.regions)

    @property
    def follows_engine(self) -> bool:
        return self._status.answers

    async def confirm(self) -> None:
        with contextlib.suppress(LinkClosed):  # the session says so itself
            await self._session.confirm()

    def under_way(self) -> str:
        jobs = self._runtime.regions.keys() - self._standing - {"self_update"}
        return ", ".join(sorted(name.replace("_", " ", 1) for name in jobs))

    async def drain(self) -> None:
        if not await self._dispatcher.drain(within_s=DRAIN_S):
            log.warning("requests are still running; they are in the ledger")
        if not await self._delivery.flush(within_s=FLUSH_S):
            log.info("events are left in the journal; the next release delivers them")

    def resume(self) -> None:
        self._dispatcher.resume()
