"""Updates as the server knows them: a command, an acknowledgement, and an event that ends it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hub.scripted_agent import joined

from agent.hub.server import Hub
from agent.hub.updates import UpdateResult

OLD, NEW = "9ab3c1d2e4f5", "77aa88bb99cc"
COMPLETE = {"old_container_id": OLD, "new_container_id": NEW, "container_name": "web"}
FAILED = "Agent update failed or timed out"
LAYER = {"id": OLD, "status": "Extracting", "current": 1, "total": 2, "percent": 50}


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_an_update(hub: Hub) -> None:
    """Command, acknowledgement, event: the settings follow the container to its new ID."""
    async with joined(hub) as (agent, host):
        host.health_checks = [{"container_id": OLD}, {"container_id": "other"}]
        login = {"username": "me", "password": "secret"}
        updating = asyncio.gather(
            hub.update_container(host.id, OLD + "0" * 52, "nginx:2", registry_auth=login)
        )
        request = await agent.answer(payload={"status": "update_started"})
        assert (request["command"], request["payload"]) == (
            "update_container",
            {
                "container_id": OLD,
                "new_image": "nginx:2",
                "stop_timeout": 30,
                "health_timeout": 120,
                "registry_auth": login,
            },
        )
        await agent.tell("update_complete", **COMPLETE, failed_dependents=["vpn"])
        assert (await updating)[0] == UpdateResult(
            "update_container", NEW, failed_dependents=("vpn",)
        )
        assert host.health_checks == [{"container_id": NEW}, {"container_id": "other"}]
        assert [completed.expected for completed in hub.updates.completed] == [True]
        assert [entry.text for entry in hub.log(host.id)][-1:] == ["Updated to nginx:2"]
    assert hub.complaints == []


async def test_an_update_ends_over_another_connection(hub: Hub) -> None:
    """The event may come with the next one, if it comes within five minutes."""
    async with joined(hub) as (agent, host):
        updating = asyncio.gather(hub.update_container(host.id, OLD, "nginx:2"))
        await agent.answer(payload={})
    await asyncio.sleep(290)
    async with joined(hub, host.agent_id) as (agent, _):
        await agent.tell("update_complete", **COMPLETE)
        assert (await updating)[0].success


async def test_an_update_that_is_refused(hub: Hub) -> None:
    """The error of the acknowledgement is the only failure that shows at once."""
    async with joined(hub) as (agent, host):
        updating = asyncio.gather(hub.update_container(host.id, OLD, "nginx:2"))
        await agent.answer(error="web runs it already")
        assert (await updating)[0] == UpdateResult("update_container", OLD, "web runs it already")
        assert now() == pytest.approx(0, abs=0.1)
        assert hub.log(host.id)[-1].failed


@pytest.mark.parametrize(("acknowledged", "ends_at"), [(False, 180), (True, 300)])
async def test_an_update_that_does_not_end(hub: Hub, acknowledged: bool, ends_at: float) -> None:
    """Three minutes for the acknowledgement, then five for the event; a stage called failed ends nothing."""
    async with joined(hub) as (agent, host):
        updating = asyncio.gather(hub.update_container(host.id, OLD, "nginx:2"))
        request = await agent.hear()
        if acknowledged:
            await agent.say({"correlation_id": request["id"], "payload": {}})
            await agent.tell("update_progress", container_id=OLD, stage="failed", message="no")
        result = (await updating)[0]
        assert result.error == (FAILED if acknowledged else "Command timed out after 180 s")
        assert now() == pytest.approx(ends_at, abs=0.1)


async def test_an_event_that_nobody_waits_for(hub: Hub) -> None:
    """Late, repeated or about another container: an entry in the log, nothing migrates."""
    async with joined(hub) as (agent, host):
        host.health_checks = [{"container_id": OLD}]
        await agent.tell("update_complete", **COMPLETE)
        assert host.health_checks == [{"container_id": OLD}]
        assert [(c.update.new_container_id, c.expected) for c in hub.updates.completed] == [
            (NEW, False)
        ]
        assert hub.log(host.id)[-1].text == "web was updated, which nobody waited for"
    assert hub.complaints == []


async def test_one_update_of_a_container_at_a_time(hub: Hub) -> None:
    """A second one is a mistake of the test."""
    async with joined(hub) as (agent, host):
        updating = asyncio.gather(hub.update_container(host.id, OLD, "nginx:2"))
        await agent.hear()
        with pytest.raises(ValueError, match="being updated already"):
            await hub.update_container(host.id, OLD, "nginx:3")
        updating.cancel()


async def test_progress(hub: Hub) -> None:
    """Kept by container, in order; what is misshapen is not shown."""
    layers: dict[str, Any] = {
        "container_id": OLD + "0" * 52,
        "overall_progress": 50,
        "layers": [LAYER],
        "total_layers": 1,
        "remaining_layers": 0,
        "summary": "x",
        "speed_mbps": 0,
    }
    async with joined(hub) as (agent, host):
        for stage in ("pulling", "completed"):
            await agent.tell("update_progress", container_id=OLD, stage=stage, message="…")
        await agent.tell("update_layer_progress", **layers)
        await agent.tell("update_layer_progress", **layers | {"overall_progress": 50.5})
        await agent.say(
            {
                "type": "progress",
                "container_id": OLD,
                "stage": "pull",
                "percent": 5,
                "message": "",
                "download_speed": None,
            }
        )
        await agent.heard()
    assert [each.stage for each in hub.update_progress.of(host.id, OLD)] == ["pulling", "completed"]
    assert [each.overall_progress for each in hub.layer_progress.of(host.id, OLD)] == [50]
    assert [each.percent for each in hub.agent_progress.of(host.id, OLD)] == [5]
    assert [text.partition(":")[0] for _, text in hub.complaints] == ["update_layer_progress"]


# The agent itself


async def test_an_agent_with_the_usual_image(hub: Hub) -> None:
    """It is asked to update itself; seen within ten seconds, it counts as updated whatever it did."""
    async with joined(hub) as (agent, host):
        host.containers = [{"Id": OLD + "0" * 52, "Image": "ghcr.io/me/DockMon-Agent:3.0"}]
        updating = asyncio.gather(hub.update_container(host.id, OLD, "ghcr.io/me/agent:3.1"))
        request = await agent.answer(payload={"status": "self_update_started"})
        assert (request["command"], request["payload"]["version"]) == ("self_update", "3.1")
        assert (await updating)[0] == UpdateResult("self_update", OLD)
        assert now() == pytest.approx(0, abs=0.1)


async def test_an_agent_that_restarts_late(hub: Hub) -> None:
    """One that was not seen for ten seconds is waited for, up to five minutes."""
    async with joined(hub) as (agent, host):
        host.containers = [{"Id": OLD, "Image": "dockmon-agent:3.0"}]
        await asyncio.sleep(60)
        updating = asyncio.gather(hub.update_container(host.id, OLD, "dockmon-agent:3.1"))
        await agent.answer(payload={})
    await asyncio.sleep(30)
    async with joined(hub, host.agent_id) as (agent, _):
        assert (await updating)[0].success
        assert now() == pytest.approx(91, abs=2)
        await asyncio.sleep(60)
        updating = asyncio.gather(hub.update_container(host.id, OLD, "dockmon-agent:3.2"))
        await agent.answer(payload={})
        began_at = now()
        assert (await updating)[0].error == FAILED
        assert now() - began_at == pytest.approx(300, abs=2)


async def test_the_button_for_a_new_agent(hub: Hub) -> None:
    """It offers another product's image, and the answer is all that the server waits for."""
    async with joined(hub) as (agent, host):
        pressing = asyncio.gather(hub.update_agent(host.id, "1.0.0"))
        request = await agent.answer(success=False, error="that is another product's image")
        assert request["payload"]["image"] == "ghcr.io/darthnorse/dockmon-agent:1.0.0"
        assert (await pressing)[0].detail == "that is another product's image"


async def test_progress_of_a_self_update(hub: Hub) -> None:
    """Only a failed stage makes an entry in the log."""
    async with joined(hub) as (agent, host):
        await agent.tell("selfupdate_progress", stage="pull", message="…", error="")
        await agent.tell("selfupdate_progress", stage="verify", message="…", error="bad hash")
        assert [(entry.text, entry.failed) for entry in hub.log(host.id)][1:] == [
            ("Agent self-update failed in verify: bad hash", True)
        ]


async def test_asking_for_a_release(hub: Hub) -> None:
    """An image, or a file for an agent that is no container; the answer is all that is waited for."""
    async with joined(hub) as (agent, host):
        asking = asyncio.gather(hub.self_update(host.id, "r.test/agent:3.1.0", "3.1.0"))
        request = await agent.answer(payload={"status": "self_update_started"})
        assert request["payload"] == {
            "image": "r.test/agent:3.1.0",
            "version": "3.1.0",
            "binary_url": None,
            "checksum": None,
        }
        assert (await asking)[0].ok


@pytest.mark.parametrize("ends", [None, "failed", "complete"])
async def test_a_heartbeat_that_would_be_taken_for_the_end(hub: Hub, ends: str | None) -> None:
    """Between the acknowledgement and the restart it is complained of, unless the update has ended meanwhile."""
    async with joined(hub) as (agent, host):
        await agent.say({"type": "heartbeat"})
        asking = asyncio.gather(hub.self_update(host.id, "r.test/agent:3.1.0", "3.1.0"))
        await agent.answer(payload={})
        await asking
        if ends is not None:
            error = "bad hash" if ends == "failed" else None
            await agent.tell("selfupdate_progress", stage=ends, message="…", error=error)
        await agent.say({"type": "heartbeat"})
        await agent.heard()
        assert [text.partition(":")[0] for _, text in hub.complaints] == (
            ["heartbeat"] if ends is None else []
        )
    async with joined(hub, host.agent_id) as (agent, _):
        await agent.say({"type": "heartbeat"})
        await agent.heard()
        assert len(hub.complaints) == (ends is None)
