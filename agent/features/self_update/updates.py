"""Updates of the agent: one at a time, from its admission to its end, whoever waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from agent.core.chart import Chart
from agent.core.lifecycle import UpdateFailed, UpdateRequest, UpdateStaged, UpdateUnneeded
from agent.core.machine import Event, StopRequested
from agent.core.self_update import SelfUpdateMachine, Update, UpdateCancelled
from agent.core.update_results import failure
from agent.features.self_update.admission import admit
from agent.features.self_update.attempt import Attempt
from agent.features.self_update.clearing import Clearing
from agent.features.self_update.steps import Steps
from agent.features.self_update.tools import UpdateTools
from agent.features.telling import Teller
from agent.ports import AtWork, Batch, CommandFailed, Services, StoreError

CHART = "self_update"

ACKNOWLEDGE_S = 120.0
"""The server waits for 150: what fails until then is the reply, and told to the user at once."""

BEGIN_S = 10.0
"""The lifecycle takes a request at once, unless the session has ended meanwhile."""

LINK_LOST = "the link to the server was lost before the switch; update again"
TOO_LATE = "the link to the server was lost before the update could begin; update again"

log = logging.getLogger("agent.self_update")


class SelfUpdates:
    """`agent.ports.SelfUpdate`.

    Args:
        post: Tells a chart, by name, or all of them what comes from outside.
    """

    def __init__(
        self,
        services: Services,
        tools: UpdateTools,
        at_work: AtWork,
        post: Callable[[Event, str | None], None],
    ) -> None:
        self._services, self._tools, self._at_work, self._post = services, tools, at_work, post
        self._clearing = Clearing(services.engine, services.store, services.clock, tools.own)
        self._teller = Teller(services.channel, services.clock)
        self._chart = Chart.load(CHART)
        self._attempt: Attempt | None = None

    @property
    def available(self) -> bool:
        """The server takes it for "runs in a container"."""
        return self._tools.own is not None and not self._tools.why_not

    async def admit(self, request: UpdateRequest) -> None:
        under_way = self._attempt
        if under_way is not None:
            if under_way.request.command_id == request.command_id:
                return
            raise CommandFailed(
                f"busy: the agent is being updated to {under_way.request.version or under_way.request.image}; "
                "try again when that is done"
            )
        self._attempt = attempt = Attempt(request)
        try:
            await admit(request, self._tools, self._services.engine)
        except BaseException:
            if self._attempt is attempt:
                self._attempt = None
            raise

    async def agreed(self, request: UpdateRequest) -> None:
        attempt = self._attempt
        if attempt is None:
            return  # it was the release that runs, or is over: the reply of the same command says how
        try:
            async with asyncio.timeout(BEGIN_S):
                await attempt.began.wait()
        except TimeoutError:
            self._attempt = None
            raise CommandFailed(TOO_LATE) from None
        waited_s = asyncio.get_running_loop().time() - attempt.began_s
        if refusal := await attempt.decision(within_s=ACKNOWLEDGE_S - waited_s):
            raise CommandFailed(refusal)
        attempt.is_acknowledged = True

    def answered(self, command_id: str) -> None:
        attempt = self._attempt
        if attempt is not None and attempt.request.command_id == command_id:
            attempt.answered.set()

    def registered(self) -> None:
        if self._attempt is None and self._tools.own is not None:
            self._services.detach(self._clearing.sweep(), "what updates of the agent left")

    async def follow(self, request: UpdateRequest) -> UpdateStaged | UpdateFailed | UpdateUnneeded:
        attempt = self._attempt
        if attempt is None or attempt.request != request or attempt.began.is_set():
            return UpdateFailed(TOO_LATE)
        attempt.began.set()
        update = Update(
            request,
            self._tools.launcher.launch.running.build_id,
            is_native=self._tools.own is None,
        )
        machine = SelfUpdateMachine(self._chart, update)
        steps = Steps(self._services, self._tools, attempt, self._clearing, self._at_work)
        ended = self._services.conduct(machine, steps.by_name(), subject="")
        self._services.detach(self._see_to_its_end(machine, ended, attempt), "the agent's update")
        attempt.is_followed = True
        try:
            await asyncio.wait({ended})
        except asyncio.CancelledError:
            attempt.is_followed = False
            self._post(UpdateCancelled(LINK_LOST), CHART)
            raise
        match machine.state:
            case "handed_over":
                return UpdateStaged(machine.memory.version)
            case "unneeded":
                return UpdateUnneeded()
        return UpdateFailed(machine.memory.reason or "the agent stops")

    async def _see_to_its_end(
        self, machine: SelfUpdateMachine, ended: asyncio.Future[str], attempt: Attempt
    ) -> None:
        try:
            await asyncio.wait({ended})
            if not ended.cancelled():
                await self._conclude(ended.result(), machine.memory, attempt)
        finally:
            attempt.decide("the agent was stopped; update again")
            if self._attempt is attempt:
                self._attempt = None

    async def _conclude(self, outcome: str, update: Update, attempt: Attempt) -> None:
        """`outcome` is the name of the final state."""
        match outcome:
            case "handed_over":
                if not attempt.is_followed:  # the session has gone at the last moment
                    self._post(StopRequested("the next release is ready"), None)
            case "unneeded":
                attempt.decide()
                message = f"Release {update.version} runs already"
                self._teller.tell("selfupdate_progress", {"stage": "complete", "message": message})
            case _:
                attempt.decide(update.reason)
                if attempt.is_acknowledged:
                    await self._report(update)

    async def _report(self, update: Update) -> None:
        """The server was told that it begins, and learns of the end only this way."""
        row = failure(update.request.command_id, update.reason)
        try:
            await self._services.store.journal(Batch([row]))
        except StoreError as error:
            log.error("that the update failed is not written down: %s", error)
            self._teller.tell(row.kind, row.payload)
        self._services.news()
