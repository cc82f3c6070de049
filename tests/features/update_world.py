"""A host with a container to update, and agents that live and die on it.

Engine, store and channel are fakes behind our ports; the runtime that conducts the chart is the real one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from fakes.channel import FakeChannel
from fakes.engine import FakeEngine
from fakes.store import MemoryStore
from features.asking import Asking
from runtime.kitchen import Kitchen

from agent.clock import utcnow
from agent.core.container_update import UPDATE_LABEL
from agent.core.lifecycle import UpdateRequest
from agent.core.own_container import OwnContainer
from agent.features.claims import Claims
from agent.features.container_update import ContainerUpdates
from agent.ports import Engine, Json, Services
from agent.runtime.runtime import Move

OLD, NEW = "paper:2.4", "paper:2.5"

PATIENCE_S = 1000.0
"""Virtual seconds that an update is waited for before a test fails."""


class UpdateWorld:
    """What outlives a process: the host's engine, the data directory, the server's end of the line.

    Attributes:
        clock_is_ahead: Of the loop's time, for somebody has set it.
    """

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.store = MemoryStore()
        self.channel = FakeChannel()
        self.own: OwnContainer | None = None
        self.clock_is_ahead = timedelta()
        self._commands = 0

    def new_command(self) -> str:
        self._commands += 1
        return str(UUID(int=self._commands))

    @asynccontextmanager
    async def process(self, engine: Engine | None = None) -> AsyncIterator[Process]:
        """An agent until the end of the block, where it is killed: nothing is ended in good order."""
        process = Process(self, engine or self.engine)
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(process.kitchen.runtime.run())
            try:
                yield process
            finally:
                run.cancel()
        self.store = self.store.restarted()

    # What can be seen of it

    def named(self) -> dict[str, str]:
        """The containers: ID by name."""
        return {box.name: box.id for box in self.engine.boxes.values()}

    def states(self) -> dict[str, tuple[str, str]]:
        """What each container runs, and whether it does: (image, status) by name."""
        return {box.name: (box.image, box.status) for box in self.engine.boxes.values()}

    def completions(self) -> list[Json]:
        """What waits to be delivered, or was, of updates that are complete."""
        return [row.payload for row in self.store.rows.values() if row.kind == "update_complete"]

    def stages(self) -> list[str]:
        """As the server was told, in order."""
        return [told["stage"] for told in self.channel.payloads("update_progress")]

    def complaints(self) -> list[Json]:
        """Entries for the host's event log."""
        return [message for message in self.channel.messages if message["type"] == "error"]

    def labels(self, name: str) -> Json:
        box = self.engine.boxes[self.named()[name]]
        labels: Json = box.config.get("Labels") or {}
        return {key: value for key, value in labels.items() if key != UPDATE_LABEL}


class Process:
    """One agent, as far as updates are concerned."""

    def __init__(self, world: UpdateWorld, engine: Engine) -> None:
        self.world = world
        self.kitchen = Kitchen()
        self.claims = Claims()
        self.news = 0
        self.self_updates: list[UpdateRequest] = []
        self.moves: list[Move] = []
        self._jobs = 0
        runtime = self.kitchen.runtime
        runtime.observe(self.moves.append)
        services = Services(
            engine=engine,
            store=world.store,
            channel=world.channel,
            clock=lambda: utcnow() + world.clock_is_ahead,
            rng=random.Random(7),
            detach=self._detach,
            conduct=runtime.conduct,
            news=self._has_news,
            self_update=self._self_update,
        )
        self.updates = ContainerUpdates(services, own=world.own, claims=self.claims)
        self.asking = Asking([self.updates.handler()])

    async def update(self, container_id: str, image: str = NEW, **more: Any) -> Any:
        """Asks for it as the server does, by the short ID; returns the acknowledgement."""
        handler = self.updates.handler()
        payload = handler.payload.model_validate(
            {
                "container_id": container_id[:12],
                "new_image": image,
                "stop_timeout": 30,
                "health_timeout": 120,
                "registry_auth": None,
                **more,
            }
        )
        return await handler.run(payload, self.world.new_command())

    async def settled(self) -> None:
        """Returns when no update is under way any more."""
        async with asyncio.timeout(PATIENCE_S):
            while self._jobs:
                await asyncio.sleep(0.1)

    async def recover(self) -> None:
        """The engine answers: goes on with what is not finished, until nothing is left to do."""
        self.updates.engine_came_back()
        await self.settled()

    def states(self) -> dict[str, str]:
        return self.kitchen.runtime.states()

    def way(self) -> list[str]:
        """The states that updates went through."""
        return [move.after for move in self.moves if move.chart.startswith("container_update")]

    def _detach(self, work: Coroutine[Any, Any, None], name: str) -> None:
        async def job() -> None:
            try:
                await work
            finally:
                self._jobs -= 1

        self._jobs += 1
        self.kitchen.runtime.detach(job(), name)

    def _has_news(self) -> None:
        self.news += 1

    async def _self_update(self, request: UpdateRequest) -> Json:
        self.self_updates.append(request)
        return {"status": "self_update_started"}
