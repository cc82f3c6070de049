"""What is played: six steps, from the first registration to an orderly end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from agent.assembly import Agent
from agent.console.bystander import Bystander, BystanderFailed
from agent.console.demo_watch import Watch
from agent.core.machine import StopRequested
from agent.hub.events import SHORT_ID_LENGTH
from agent.hub.host import Host
from agent.hub.replies import RequestFailed
from agent.hub.server import Hub

STEPS = (
    "Connect: the agent dials out and registers this host",
    "Make a throwaway container: the rest happens to it",
    "Operate: the server asks, the agent starts, restarts and stops it",
    "Cut the link: things happen that the server cannot see",
    "Rename and remove: over the new connection",
    "Stop: the agent ends in good order",
)
"""A title, and what is to be seen."""

PAUSES_S = 20.5
"""What the pauses below add up to: the rest of the time is the engine's and the link's."""

CONNECT_S = 20.0
RECONNECT_S = 20.0
ARRIVE_S = 10.0
STOP_S = 6.0


class Failed(Exception):
    """The demo cannot go on. The text says why, and what to do."""


class Script:
    """Plays the steps once.

    Args:
        pace: Pauses are multiplied by it. 1 is for reading along, 0 for no pauses.
    """

    def __init__(
        self, hub: Hub, agent: Agent, watch: Watch, bystander: Bystander, *, pace: float
    ) -> None:
        self._hub, self._agent, self._watch, self._bystander = hub, agent, watch, bystander
        self._pace = pace

    async def play(self) -> None:
        """Returns when the agent has stopped.

        Raises:
            Failed: Agent, engine or server did not do their part.
            BystanderFailed: The engine did not do what was asked of it directly.
        """
        acts = (
            self._connect,
            self._make,
            self._operate,
            self._cut,
            self._remove,
            self._stop,
        )
        for step, act in enumerate(acts):
            self._watch.begin(step)
            await act()
        self._watch.begin(len(acts))

    async def _connect(self) -> None:
        if not await self._watch.until(self._is_at_work, within_s=CONNECT_S):
            raise Failed(f"the agent did not get to work within {CONNECT_S:g} s: {self._where()}")
        await self._pause(2.0)

    async def _make(self) -> None:
        for source in await self._bystander.sources():
            self._watch.say("demo", f"makes a container from {source.text}")
            try:
                await self._bystander.make(source)
                break
            except BystanderFailed as failed:
                self._watch.say("demo", f"cannot: {failed}", tone="bad")
        else:
            raise Failed(
                "there is no image to make a container from: install a static busybox "
                "(apt-get install busybox-static), or run `docker pull busybox`"
            )
        self._watch.attend_to(self._bystander.container_id, self._bystander.name)
        self._watch.say("engine", f"has a new container, {self._bystander.name}")
        await self._pause(2.0)

    async def _operate(self) -> None:
        for action, payload in (("start", {}), ("restart", {}), ("stop", {"timeout": 5})):
            await self._ask(action, payload)
            await self._pause(1.5)

    async def _cut(self) -> None:
        self._fault(self._hub.faults.cut)
        await self._hub.stop_listening()
        self._watch.server_is_there = False
        self._watch.say("server", "is gone: the link is cut, nobody listens", tone="bad")
        there = len(self._watch.arrived)
        others_do = (
            ("starts", self._bystander.start),
            ("stops", self._bystander.stop),
            ("starts", self._bystander.start),
        )
        for does, call in others_do:
            await self._pause(1.2)
            await call()
            self._watch.say("engine", f"{does} {self._bystander.name}, asked by somebody else")
        await self._pause(1.4)
        if not await self._watch.until(lambda: not self._is_at_work(), within_s=RECONNECT_S):
            raise Failed("the agent did not notice that the link was cut")
        await self._hub.start_listening()
        self._watch.server_is_there = True
        self._watch.say("server", "is back, and waits for the agent", tone="good")
        if not await self._watch.until(self._is_at_work, within_s=RECONNECT_S):
            raise Failed(f"the agent did not come back within {RECONNECT_S:g} s: {self._where()}")
        if await self._arrived(there + len(others_do)):
            self._watch.say("demo", "what happened meanwhile has arrived, in order", tone="good")
        await self._pause(2.5)

    async def _remove(self) -> None:
        new_name = f"{self._bystander.name}-renamed"
        await self._ask("rename", {"new_name": new_name})
        self._watch.attend_to(self._bystander.container_id, new_name)
        await self._pause(1.5)
        there = len(self._watch.arrived)
        await self._ask("remove", {"force": True})
        await self._arrived(there + len(("die", "destroy")))
        await self._pause(1.5)

    async def _stop(self) -> None:
        self._fault(self._hub.faults.silent)  # no more polls: each request is to have its reply
        if not await self._watch.until(lambda: not self._watch.unanswered, within_s=ARRIVE_S):
            raise Failed(f"{self._watch.unanswered} requests were not answered")
        self._agent.runtime.post(StopRequested("the demo is over"))
        if not await self._watch.until(self._has_stopped, within_s=STOP_S):
            raise Failed(f"the agent did not stop within {STOP_S:g} s: {self._where()}")
        await self._pause(1.5)

    # What steps are made of

    @property
    def _host(self) -> Host:
        host = self._watch.host
        assert host is not None, "no step but the first is played before the agent has registered"
        return host

    async def _ask(self, action: str, payload: Mapping[str, object]) -> None:
        request = {"container_id": self._bystander.container_id[:SHORT_ID_LENGTH], **payload}
        try:
            await self._hub.request(self._host.id, action, request)
        except RequestFailed as error:
            raise Failed(f"{action} failed ({error.error_type}): {error.text}") from None

    async def _arrived(self, at_least: int) -> bool:
        """Waits for the server to have all that the engine emitted. What is missing then is for the report to tell."""
        return await self._watch.until(
            lambda: len(self._watch.arrived) >= max(at_least, len(self._bystander.emitted)),
            within_s=ARRIVE_S,
        )

    def _fault(self, fault: Callable[[Host], None]) -> None:
        with suppress(LookupError):  # no link is there to be hit
            fault(self._host)

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self._pace)

    def _is_at_work(self) -> bool:
        states = self._agent.runtime.states()
        return states == {"lifecycle": "connected", "engine": "following"}

    def _has_stopped(self) -> bool:
        return set(self._agent.runtime.states().values()) == {"stopped"}

    def _where(self) -> str:
        return ", ".join(
            f"{chart} {state}" for chart, state in self._agent.runtime.states().items()
        )
