"""Deployments as the server knows them: they end with one event, or never."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hub.scripted_agent import ScriptedAgent, joined

from agent.hub.deployments import Deployment, DeployRequest
from agent.hub.host import Host
from agent.hub.server import Hub

REQUEST = DeployRequest("shop", "services: {}")
WEB = {"container_id": "9ab3c1d2e4f5", "container_name": "web", "image": "x", "status": "running"}
DB = {**WEB, "container_id": "77aa88bb99cc", "status": "exited", "exit_code": 1}


async def begun(
    hub: Hub, host: Host, agent: ScriptedAgent, request: DeployRequest = REQUEST
) -> Deployment:
    """Acknowledged."""
    deploying = asyncio.gather(hub.deploy(host.id, request))
    await agent.answer(payload={"status": "deployment_started"})
    return (await deploying)[0]


async def test_the_request(hub: Hub) -> None:
    """With the defaults of the UI, and an ID made of host, project and eight digits."""
    async with joined(hub) as (agent, host):
        deploying = asyncio.gather(hub.deploy(host.id, REQUEST))
        payload = (await agent.answer(payload={}))["payload"]
        assert payload == {
            "project_name": "shop",
            "compose_content": "services: {}",
            "action": "up",
            "env_file_content": "",
            "env_files": {},
            "remove_volumes": False,
            "profiles": [],
            "force_recreate": True,
            "pull_images": True,
            "wait_for_healthy": True,
            "health_timeout": 120,
            "registry_credentials": [],
            "deployment_id": (await deploying)[0].id,
        }
        host_id, project, digits = payload["deployment_id"].split(":")
        assert (host_id, project, len(digits)) == (host.id, "shop", 8)


@pytest.mark.parametrize(
    ("stage", "services", "shown"),
    [
        ("validating", None, ("pulling_image", 5)),
        ("parsing", [], ("pulling_image", 10)),
        ("creating_networks", None, ("creating", 15)),
        ("creating_volumes", None, ("creating", 20)),
        ("pulling_image", None, ("pulling_image", 40)),
        ("executing", None, ("creating", 50)),
        ("creating", None, ("creating", 65)),
        ("starting", None, ("starting", 80)),
        ("waiting_for_health", None, ("starting", 80)),
        ("health_check", None, ("starting", 90)),
        ("pondering", None, ("creating", 50)),
        ("starting", ["running", "created", "running"], ("starting", 76)),
        ("validating", ["running"], ("pulling_image", 90)),
        ("completed", None, None),
        ("failed", None, None),
    ],
)
async def test_progress(
    hub: Hub, stage: str, services: list[str] | None, shown: tuple[str, int] | None
) -> None:
    """The server chooses the percentage, by the stage or by the services that run."""
    payload: dict[str, Any] = {"stage": stage, "message": "…"}
    if services is not None:
        payload["services"] = [{"name": "x", "status": status} for status in services]
    async with joined(hub) as (agent, host):
        deployment = await begun(hub, host, agent)
        await agent.tell("deploy_progress", deployment_id=deployment.id, **payload)
        steps = [(step.status, step.percent) for step in deployment.progress]
        assert steps == ([shown] if shown else [])
        assert deployment.outcome is None
    assert hub.complaints == []


@pytest.mark.parametrize(
    ("complete", "outcome", "linked"),
    [
        ({"success": True}, "running", ()),
        (
            {"success": True, "services": {"web": WEB, "db": DB}, "failed_services": ["db"]},
            *("running", ("9ab3c1d2e4f5", "77aa88bb99cc")),
        ),
        ({"success": True, "action": "down", "partial_success": True}, "stopped", ()),
        ({"success": True, "action": "restart"}, "running", ()),
        (
            {
                "success": False,
                "partial_success": True,
                "error": "db: exit 1",
                "services": {"web": WEB, "db": DB},
                "failed_services": ["db"],
            },
            *("partial", ("9ab3c1d2e4f5",)),
        ),
        ({"success": False, "services": {"db": DB}}, "failed", ()),
    ],
)
async def test_the_end(
    hub: Hub, complete: dict[str, Any], outcome: str, linked: tuple[str, ...]
) -> None:
    """All containers count as the deployment's own after a success, the sound ones after a partial one."""
    async with joined(hub) as (agent, host):
        deployment = await begun(hub, host, agent)
        await agent.tell("deploy_complete", deployment_id=deployment.id, **complete)
        await deployment.done(timeout_s=1)
        assert (deployment.outcome, deployment.linked) == (outcome, linked)
        assert deployment.error == complete.get("error", "")
        assert hub.log(host.id)[-1].failed is (outcome in ("partial", "failed"))
    assert hub.complaints == []


async def test_services_that_are_null(hub: Hub) -> None:
    """The server fails on them, and the UI waits for ever."""
    async with joined(hub) as (agent, host):
        deployment = await begun(hub, host, agent)
        broken = {"deployment_id": deployment.id, "success": True, "services": None}
        await agent.tell("deploy_complete", **broken)
        with pytest.raises(TimeoutError):
            await deployment.done(timeout_s=86_400)
    assert hub.complaints == [
        (host.id, "deploy_complete: services: Input should be a valid dictionary")
    ]


async def test_an_end_that_comes_twice(hub: Hub) -> None:
    """Over another connection, perhaps: the first one counts."""
    async with joined(hub) as (agent, host):
        deployment = await begun(hub, host, agent)
    async with joined(hub, host.agent_id) as (agent, _):
        await agent.tell("deploy_complete", deployment_id=deployment.id, success=True)
        await agent.tell("deploy_complete", deployment_id=deployment.id, success=False)
        assert (deployment.outcome, deployment.completions) == ("running", 2)
        assert [entry.kind for entry in hub.log(host.id)].count("deployment") == 1
    assert hub.complaints == []


async def test_a_deployment_that_does_not_begin(hub: Hub) -> None:
    """The error of the acknowledgement ends it; half an hour is granted for one."""
    async with joined(hub) as (agent, host):
        deploying = asyncio.gather(hub.deploy(host.id, REQUEST))
        await agent.answer(error="services.web: no image")
        [deployment] = await deploying
        assert (deployment.outcome, deployment.error) == ("failed", "services.web: no image")
        deployment = await hub.deploy(host.id, REQUEST)
        assert deployment.error == "Command timed out after 1800 s"


@pytest.mark.parametrize("capable", [True, False])
async def test_more_than_one_env_file(hub: Hub, capable: bool) -> None:
    """Only an agent that says so is sent them."""
    request = DeployRequest("shop", "services: {}", env_files={".env": "", "db.env": "A=1"})
    async with joined(hub, capabilities={"multi_env_files": capable}) as (agent, host):
        if capable:
            assert (await begun(hub, host, agent, request)).outcome is None
        else:
            assert (await hub.deploy(host.id, request)).outcome == "failed"


async def test_a_deployment_of_somebody_else(hub: Hub) -> None:
    """What the server never started is dropped."""
    async with joined(hub) as (agent, host):
        await agent.tell("deploy_complete", deployment_id="x:shop:0", success=True)
    assert hub.complaints == [(host.id, "deploy_complete: there is no deployment x:shop:0")]
