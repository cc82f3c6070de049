"""A scripted engine, and the adapter that talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from fakes.scripted_engine import ScriptedEngine

from agent.adapters.engine import DockerEngine, Endpoint


@pytest.fixture
def scripted() -> Iterator[ScriptedEngine]:
    with ScriptedEngine() as scripted:
        yield scripted


@pytest.fixture
async def engine(scripted: ScriptedEngine) -> AsyncIterator[DockerEngine]:
    engine = DockerEngine(Endpoint.parse(scripted.address))
    yield engine
    await engine.close()
