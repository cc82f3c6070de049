"""What inspections of containers told, for the list and for the statistics, until an event makes it stale."""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.container_shapes import Extras, extras
from agent.core.processes import has_network, network_owner, process
from agent.core.roster import Process
from agent.features.memory import Memory
from agent.ports import Engine, Json

PASSING = ("exec_", "top", "attach", "detach", "resize")
"""Beginnings of container actions that change nothing about it; three come with each health probe."""

_IRRELEVANT = (*PASSING, "health_status")
"""Those that change nothing an inspection is asked for. A list has the health in it."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What anybody here wants to know of an inspection.

    Attributes:
        process: The first one; None if the container does not run.
        has_network: Whether the engine counts a network for it.
        network_owner: The container whose network it shares; None if it has its own, or the host's.
    """

    extras: Extras
    process: Process | None
    has_network: bool
    network_owner: str | None


class Inspections(Memory[Inspected]):
    """By container ID. `notice` and `events_were_missed` keep it true, and are told before whoever asks here is."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    async def of(self, container: str, *, deadline_s: float) -> Inspected:
        """What is known of it, or else what the engine says now.

        Raises:
            EngineError: As `Engine.inspect_container` does.
        """
        if (known := self.known.get(container)) is not None:
            return known
        return await self.learn(container, self.ask(container, deadline_s))

    async def of_running(self, container: str, *, deadline_s: float, anew: bool) -> Inspected:
        """The same of one that is said to run: that it had no process is of another time, and is asked again.

        Args:
            anew: What is known is not to be believed. If the engine does not answer, it stays.
        """
        known = self.known.get(container)
        if known is not None and known.process is not None and not anew:
            return known
        return await self.learn(container, self.ask(container, deadline_s))

    async def ask(self, container: str, deadline_s: float) -> Inspected:
        inspected = await self._engine.inspect_container(container, deadline_s=deadline_s)
        return Inspected(
            extras(inspected), process(inspected), has_network(inspected), network_owner(inspected)
        )

    def notice(self, event: Json) -> None:
        """Forgets what an Engine API event makes stale."""
        match event:
            case {"Type": "container", "Action": str(action), "Actor": {"ID": str(container_id)}}:
                if not action.startswith(_IRRELEVANT):
                    self.forget(container_id)

    def events_were_missed(self) -> None:
        self.forget_all()
