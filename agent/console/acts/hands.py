"""What every act is made of: asking the server, waiting for what is to be seen, and pausing for whoever looks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from agent.assembly import Agent
from agent.console.bystander import Bystander
from agent.console.demo_watch import Watch
from agent.console.page import Page
from agent.hub.host import Host
from agent.hub.replies import RequestFailed
from agent.hub.server import Hub

ARRIVE_S = 10.0


class Failed(Exception):
    """The demo cannot go on. The text says why, and what to do."""


class Skipped(Exception):
    """This act is impossible here, and the next one is not. The text says why."""


class Hands:
    """Everything an act may touch.

    Args:
        page: The web page whose health is checked.
        pace: Pauses are multiplied by it. 1 is for reading along, 0 for no pauses.
    """

    def __init__(
        self,
        hub: Hub,
        agent: Agent,
        watch: Watch,
        bystander: Bystander,
        page: Page,
        *,
        pace: float,
    ) -> None:
        self.hub, self.agent, self.watch = hub, agent, watch
        self.bystander, self.page = bystander, page
        self._pace = pace

    @property
    def host(self) -> Host:
        host = self.watch.host
        assert host is not None, "no act but the first is played before the agent has registered"
        return host

    @property
    def container_id(self) -> str:
        """Of the container it is all about, as the server knows it."""
        return self.watch.ours

    async def ask(self, action: str, **payload: object) -> Any:
        """The server asks the agent for something that concerns the container.

        Raises:
            Failed: It was refused, or not answered.
        """
        request: Mapping[str, object] = {"container_id": self.container_id, **payload}
        try:
            return await self.hub.request(self.host.id, action, request)
        except RequestFailed as error:
            raise Failed(f"{action} failed ({error.error_type}): {error.text}") from None

    async def tell(self, kind: str, payload: Mapping[str, object]) -> None:
        """The server tells the agent something that it does not answer.

        Raises:
            Failed: There is no link.
        """
        try:
            await self.hub.send(self.host.id, {"type": kind, "payload": payload})
        except LookupError as gone:
            raise Failed(f"{kind} could not be sent: {gone}") from None

    async def until(self, condition: Callable[[], bool], within_s: float, complaint: str) -> None:
        """Waits until `condition` holds.

        Raises:
            Failed: It does not in time; the text is `complaint`.
        """
        if not await self.watch.until(condition, within_s=within_s):
            raise Failed(f"{complaint} within {within_s:g} s: {self._where()}")

    async def all_arrived(self, at_least: int = 0) -> bool:
        """Waits for the server to have all that the engine emitted. What is missing then is for the report to tell.

        Args:
            at_least: So many events of our containers, if the engine was not seen to emit as many yet.
        """
        return await self.watch.until(
            lambda: (
                len(self.watch.heard_of_ours) >= at_least
                and self.bystander.emitted.keys() <= self.watch.arrived.keys()
            ),
            within_s=ARRIVE_S,
        )

    def fault(self, fault: Callable[[Host], None]) -> None:
        with suppress(LookupError):  # no link is there to be hit
            fault(self.host)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self._pace)

    def is_at_work(self) -> bool:
        states = self.agent.runtime.states()
        return (states["lifecycle"], states["engine"]) == ("connected", "following")

    def has_stopped(self) -> bool:
        return set(self.agent.runtime.states().values()) == {"stopped"}

    def _where(self) -> str:
        return ", ".join(f"{chart} {state}" for chart, state in self.agent.runtime.states().items())


Act = Callable[[Hands], Awaitable[None]]
"""Raises Failed, Skipped, or BystanderFailed."""
