"""The event stream of a real engine, and an engine that comes and goes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

import docker
import pytest
from engine import Containers, OwnEngine, connect

from agent.adapters.engine import DockerEngine, Endpoint
from agent.ports import EngineUnreachable, Json

DEADLINE_S = 60.0
CONTAINERS = {"type": ["container"]}


class Sink:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self.reasons: list[str] = []
        self._changed = asyncio.Event()

    def event(self, event: Json) -> None:
        self.events.append(event)
        self._changed.set()

    def ended(self, reason: str) -> None:
        self.reasons.append(reason)
        self._changed.set()

    def actions(self, container: str) -> list[str]:
        return [event["Action"] for event in self.events if event["Actor"]["ID"] == container]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def engine(engine_url: str) -> AsyncIterator[DockerEngine]:
    engine = DockerEngine(Endpoint.parse(engine_url))
    yield engine
    await engine.close()


async def until_reader_ends() -> None:
    for thread in threading.enumerate():
        if thread.name == "engine-events":
            await asyncio.get_running_loop().run_in_executor(None, thread.join, DEADLINE_S)
            assert not thread.is_alive()


async def test_the_ring_comes_first_then_what_happens(
    engine: DockerEngine, containers: Containers
) -> None:
    """Events from before the stream was opened are there, and later ones follow, in order."""
    web = containers.run().id
    sink = Sink()
    engine.read_events(CONTAINERS, sink)
    await sink.until(lambda: sink.actions(web) == ["create", "start"])
    await engine.stop(web, timeout_s=10, deadline_s=DEADLINE_S)
    await sink.until(lambda: "stop" in sink.actions(web))
    assert sink.actions(web)[:2] == ["create", "start"]
    assert sink.actions(web)[-1] == "stop"
    assert "die" in sink.actions(web)
    assert sink.reasons == []


async def test_filters_are_the_engines(engine: DockerEngine, containers: Containers) -> None:
    """Only what was asked for arrives."""
    web = containers.create().id
    sink = Sink()
    engine.read_events({**CONTAINERS, "event": ["start"], "container": [web]}, sink)
    await engine.start(web, deadline_s=DEADLINE_S)
    await sink.until(lambda: bool(sink.events))
    assert sink.actions(web) == ["start"]
    assert len(sink.events) == 1


async def test_closing_is_prompt_on_a_quiet_host(
    engine: DockerEngine, containers: Containers
) -> None:
    """The reader's thread ends although the engine says nothing, and the sink hears nothing of it."""
    web = containers.create().id
    sink = Sink()
    reader = engine.read_events({**CONTAINERS, "container": [web]}, sink)
    await sink.until(lambda: sink.actions(web) == ["create"])
    reader.close()
    reader.close()
    await until_reader_ends()
    await engine.start(web, deadline_s=DEADLINE_S)
    assert (sink.actions(web), sink.reasons) == (["create"], [])


async def test_a_burst_arrives_whole(
    engine: DockerEngine, containers: Containers, docker_client: docker.APIClient
) -> None:
    """Far more events than the engine's ring holds, faster than anybody acts on them."""
    web = containers.create()
    sink = Sink()
    engine.read_events({**CONTAINERS, "container": [web.id]}, sink)
    await sink.until(lambda: sink.actions(web.id) == ["create"])
    loop = asyncio.get_running_loop()
    names = [f"{web.name}-{number}" for number in range(600)]

    def rename_all() -> None:
        for name in names:
            docker_client.rename(web.id, name)

    await loop.run_in_executor(None, rename_all)
    await sink.until(lambda: len(sink.events) == 1 + len(names))
    assert [event["Actor"]["Attributes"]["name"] for event in sink.events[1:]] == names


async def stop(engine: OwnEngine) -> None:
    await engine.stop()


async def kill(engine: OwnEngine) -> None:
    await engine.kill()


@pytest.mark.parametrize("end", [stop, kill])
async def test_an_engine_that_goes_and_comes_back(
    own_engine: OwnEngine, end: Callable[[OwnEngine], Awaitable[None]]
) -> None:
    """The stream's end is told once, calls name the engine that is gone, and all works when it is back."""
    engine = DockerEngine(Endpoint.parse(own_engine.url))
    client = connect(own_engine.url)
    web = Containers(client).create().id
    client.close()
    sink = Sink()
    engine.read_events(CONTAINERS, sink)
    await sink.until(lambda: sink.actions(web) == ["create"])
    before = await engine.facts(deadline_s=DEADLINE_S)

    await end(own_engine)
    await sink.until(lambda: bool(sink.reasons))
    await until_reader_ends()
    assert len(sink.reasons) == 1
    with pytest.raises(EngineUnreachable, match=own_engine.url.removeprefix("unix://")):
        await engine.facts(deadline_s=DEADLINE_S)
    late = Sink()
    engine.read_events(CONTAINERS, late)
    await late.until(lambda: bool(late.reasons))
    assert own_engine.url.removeprefix("unix://") in late.reasons[0]

    await own_engine.start()
    assert (await engine.facts(deadline_s=DEADLINE_S)).engine_id == before.engine_id
    again = Sink()
    reader = engine.read_events(CONTAINERS, again)
    await engine.start(web, deadline_s=DEADLINE_S)
    await again.until(lambda: "start" in again.actions(web))
    reader.close()
    await engine.close()
