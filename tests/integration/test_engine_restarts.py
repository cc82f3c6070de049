"""The engine goes away and comes back, cleanly or not, with and without the server: the net state is always told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from engine import Containers, OwnEngine, connect
from integration.agent_process import AgentProcess

from agent.hub.server import Hub


@pytest.fixture
def settings(hub: Hub, own_engine: OwnEngine, tmp_path: Path) -> dict[str, str]:
    return {
        "DOCKMON_URL": hub.url,
        "REGISTRATION_TOKEN": hub.new_token(),
        "DOCKER_HOST": own_engine.url,
        "DATA_PATH": str(tmp_path),
        "RECONNECT_MAX": "1s",
    }


async def told(hub: Hub, host_id: str, done: Callable[[list[str]], bool]) -> list[str]:
    """Waits until what the hub was told (effects, in order) is `done`, and returns it."""

    def effects() -> list[str]:
        return [event["effect"] for event in hub.events(host_id)]

    if not done(effects()):
        await hub.wait_for(lambda _: done(effects()), 60)
    return effects()


@pytest.mark.parametrize("abruptly", [False, True], ids=["stopped", "killed"])
async def test_an_engine_restart(
    hub: Hub, settings: dict[str, str], own_engine: OwnEngine, abruptly: bool
) -> None:
    """A container that does not survive its engine is told as ended; the agent stays connected all the while."""
    loop = asyncio.get_running_loop()
    client = connect(own_engine.url)
    lost = Containers(client).run(name="lost")
    async with AgentProcess(settings) as agent:
        await agent.says("catching_up -> following")
        host = await hub.host_online(timeout_s=10)
        await (own_engine.kill() if abruptly else own_engine.stop())
        await agent.says("engine: following -> down")
        await own_engine.start()
        effects = await told(hub, host.id, lambda effects: len(effects) > 0)
        assert effects[-1] in ("died", "stopped")
        await loop.run_in_executor(None, client.start, lost.id)
        effects = await told(hub, host.id, lambda effects: effects[-1] == "started")
        assert effects[-2] in ("died", "stopped")
        assert host.connections == 1
    client.close()


async def test_everything_away_at_once(
    hub: Hub, settings: dict[str, str], own_engine: OwnEngine
) -> None:
    """Server and engine away together, the agent killed meanwhile: deletions and deaths are told when all are back."""
    loop = asyncio.get_running_loop()
    client = connect(own_engine.url)
    made = Containers(client)
    dies, goes = made.run(name="dies"), made.run(name="goes")
    async with AgentProcess(settings) as agent:
        await agent.says("catching_up -> following")
        host = await hub.host_online(timeout_s=10)
        await hub.stop_listening()
        await agent.says("connected -> backoff")
    await own_engine.stop()
    await own_engine.start()
    await loop.run_in_executor(None, client.remove_container, goes.id)
    await own_engine.stop()
    async with AgentProcess(settings) as agent:
        await agent.says("engine: down")
        await own_engine.start()
        await agent.says("catching_up -> following", within_s=60)
        await hub.start_listening()
        await told(hub, host.id, lambda effects: "deleted" in effects and len(effects) >= 3)
        last = {event["container_id"]: event["effect"] for event in hub.events(host.id)}
        assert last[goes.id[:12]] == "deleted"
        assert last[dies.id[:12]] in ("died", "stopped")
    client.close()
