"""What is known of the Docker engine, shared between the chart that watches it and those who ask."""

from __future__ import annotations

import asyncio

from agent.ports import EngineFacts


class EngineStatus:
    """The newest facts. They stay when the engine goes away: an old name is better than none."""

    def __init__(self) -> None:
        self.facts: EngineFacts | None = None
        self.answers = False
        self._known = asyncio.Event()

    def answered(self, facts: EngineFacts) -> None:
        self.facts, self.answers = facts, True
        self._known.set()

    def went_away(self) -> None:
        self.answers = False

    async def known(self) -> EngineFacts:
        """The facts, once there are any."""
        await self._known.wait()
        assert self.facts is not None
        return self.facts
