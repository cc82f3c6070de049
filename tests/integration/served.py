"""A host as a user has it: the reference server, a real socket, the agent with everything it has, a real engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.adapters.engine import DockerEngine, Endpoint
from agent.adapters.host import LinuxHost
from agent.adapters.no_update import NoSelfUpdate
from agent.adapters.store import SqliteStore
from agent.adapters.websocket import WebSocketServer
from agent.assembly import Agent, Ports, assemble
from agent.clock import utcnow
from agent.core.backoff import Backoff
from agent.core.machine import StopRequested
from agent.equipment import equipped
from agent.features.catalogue import Equipment, catalogue
from agent.hub.events import ContainerEvent
from agent.hub.host import Host
from agent.hub.replies import RequestFailed
from agent.hub.server import Hub
from agent.runtime.registrar import Presentation
from agent.settings import Credentials

ONLINE_S = 30.0
"""A busy machine may take its time; a test that passes never waits this long."""


class QuietBeat:
    def pulse(self, states: object) -> None: ...


@dataclass
class Served:
    """One host that is online."""

    hub: Hub
    host: Host
    agent: Agent

    async def ask(self, name: str, /, kind: Any = None, **payload: Any) -> Any:
        """The result in the reply, as the server has it; raises `RequestFailed`."""
        return await self.hub.request(self.host.id, name, payload or None, kind=kind)

    async def refused(self, name: str, /, kind: Any = None, **payload: Any) -> str:
        """The error in the reply."""
        try:
            answer = await self.ask(name, kind, **payload)
        except RequestFailed as failed:
            return failed.text
        raise AssertionError(f"{name} was not refused: {answer}")

    async def events(
        self, container_id: str, *effects: str, within_s: float = 30.0
    ) -> list[ContainerEvent]:
        """The events of one container, once `effects` are what happened to it, in this order."""
        short = container_id[:12]
        try:
            async with asyncio.timeout(within_s):
                while True:
                    found = [e for e in self.hub.events(self.host.id) if e["container_id"] == short]
                    if tuple(event["effect"] for event in found) == effects:
                        return found
                    await self.told("container_event", container_id)
        except TimeoutError:
            told = [
                event["effect"]
                for event in self.hub.events(self.host.id)
                if event["container_id"] == short
            ]
            raise AssertionError(f"{told} is not {list(effects)}") from None

    @staticmethod
    def patience() -> asyncio.Timeout:
        """A busy machine may take its time; a test that passes never waits this long."""
        return asyncio.timeout(ONLINE_S)

    async def next_frame(self) -> None:
        """Waits until something was sent or received."""
        came = asyncio.Event()
        forget = self.hub.listen(lambda _: came.set())
        await came.wait()
        forget()

    async def told(self, kind: str, container_id: str = "", **values: Any) -> Mapping[str, Any]:
        """The payload of the next event of this kind, container, and values from now on."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Mapping[str, Any]] = loop.create_future()

        def look(entry: Any) -> None:
            frame = entry.frame
            payload = frame.get("payload") or {}
            if (
                frame.get("command") == kind
                and str(payload.get("container_id", "")).startswith(container_id[:12])
                and all(payload.get(key) == value for key, value in values.items())
                and not found.done()
            ):
                found.set_result(payload)

        forget = self.hub.listen(look)
        try:
            async with asyncio.timeout(ONLINE_S):
                return await found
        finally:
            forget()


@contextlib.asynccontextmanager
async def serve(hub: Hub, engine_url: str, data_path: Path) -> AsyncIterator[Served]:
    """Starts an agent, waits until its host is online, stops it at the end; what the server dislikes is a failure."""
    endpoint = Endpoint.parse(engine_url)
    engine, store = DockerEngine(endpoint), SqliteStore(data_path)
    try:
        async with equipped(
            engine,
            endpoint,
            None,
            environ=os.environ,
            data_path=data_path,
            stacks_dir=data_path / "stacks",
        ) as equipment:
            agent = _assemble(hub, engine, store, equipment)
            async with _running(agent):
                yield Served(hub, await hub.host_online(ONLINE_S), agent)
    finally:
        await engine.close()
        await store.close()
    assert hub.complaints == []


def _assemble(hub: Hub, engine: DockerEngine, store: SqliteStore, equipment: Equipment) -> Agent:
    token = hub.new_token()
    return assemble(
        Ports(
            server=WebSocketServer(f"{hub.url}/api/agent/ws"),
            history=lambda token: WebSocketServer(f"{hub.url}/api/stats/ws/ingest", bearer=token),
            engine=engine,
            store=store,
            host=LinuxHost(contained=False),
            update=lambda *_: NoSelfUpdate(),
            beat=QuietBeat(),
            clock=utcnow,
            rng=random.Random(7),
        ),
        Presentation("3.0.0", "1.1", agent_name="rack7"),
        backoff=Backoff(0.2, 2.0),
        credentials=lambda: Credentials(registration_token=token, permanent_token=None),
        features=lambda services, history: catalogue(services, equipment, history),
        strict=True,
    )


@contextlib.asynccontextmanager
async def _running(agent: Agent) -> AsyncIterator[None]:
    """From when it follows the engine to its end."""
    following = asyncio.Event()
    agent.runtime.observe(lambda move: following.set() if move.after == "following" else None)
    running = asyncio.get_running_loop().create_task(agent.runtime.run(), name="agent")
    try:
        async with asyncio.timeout(ONLINE_S):
            await following.wait()
        yield
    finally:
        agent.runtime.post(StopRequested("the test is over"))
        await asyncio.wait({running}, timeout=10)
    running.result()
