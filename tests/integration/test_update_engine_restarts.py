"""An engine that is restarted in the middle of an update: it says no while it ends, is silent, and has new ideas."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import docker
import pytest
from engine import IDLE, IMAGE, Containers, OwnEngine, connect
from features.update_world import UpdateWorld

from agent.adapters.engine import DockerEngine, Endpoint
from agent.ports import Engine

ALWAYS = {"restart_policy": {"Name": "always"}}
END_S = 60.0
REPOSITORY = IMAGE.partition(":")[0]
NEW_IMAGE = f"{REPOSITORY}:new"


class WithoutRegistry:
    """An engine that has what it is asked to pull: an engine of a test's own has no network to pull over."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def pull(self, image: str, **options: Any) -> None:
        await self._engine.inspect_image(image, deadline_s=options["deadline_s"])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


@pytest.fixture
async def engine(own_engine: OwnEngine) -> AsyncIterator[Engine]:
    engine = DockerEngine(Endpoint.parse(own_engine.url))
    yield cast("Engine", WithoutRegistry(engine))
    await engine.close()


def make_new_image(client: docker.APIClient) -> None:
    base = client.create_container(IMAGE, list(IDLE))
    client.commit(base, REPOSITORY, "new", conf={"Env": ["RELEASE=2"], "Cmd": list(IDLE)})
    client.remove_container(base)


@pytest.mark.parametrize(
    ("stage", "is_new"),
    [("creating", False), ("health_check", False), ("dependents", True), ("cleanup", True)],
)
async def test_an_engine_that_is_restarted(
    own_engine: OwnEngine, engine: Engine, stage: str, is_new: bool
) -> None:
    """All is new or all is old, both containers run, the one in the other's network, and nothing is left over."""
    with contextlib.closing(connect(own_engine.url)) as client:
        make_new_image(client)
        containers = Containers(client)
        vpn = containers.run("vpn", host=ALWAYS)
        side = containers.run("side", host={"network_mode": f"container:{vpn.id}", **ALWAYS})
    world = UpdateWorld()
    async with world.process(engine) as process:
        await process.update(vpn.id, NEW_IMAGE, stop_timeout=5)
        async with asyncio.timeout(END_S):
            while stage not in world.stages():
                await asyncio.sleep(0.01)
        await own_engine.stop()
        await own_engine.start()
        process.updates.engine_came_back()
        async with asyncio.timeout(END_S):
            await process.settled()
    with contextlib.closing(connect(own_engine.url)) as client:
        assert len(client.containers(all=True)) == 2
        now, joined = client.inspect_container(vpn.name), client.inspect_container(side.name)
    assert (now["Id"] != vpn.id, joined["Id"] != side.id) == (is_new, is_new)
    assert joined["HostConfig"]["NetworkMode"] == f"container:{now['Id']}"
    assert (now["State"]["Running"], joined["State"]["Running"]) == (True, True)
    assert [each.get("failed_dependents") for each in world.completions()] == [None] * is_new
    assert world.store.begun == {}
