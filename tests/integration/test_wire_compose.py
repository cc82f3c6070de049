"""Deployments and compose files, from the server's button to the engine and back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import docker
import pytest
from docker_registry import PASSWORD, USER, DockerRegistry
from engine import IDLE
from integration.served import Served

from agent.hub.deployments import Deployment, DeployRequest

WITHIN_S = 120.0

WEB = "  web: {image: IMAGE, network_mode: none, volumes: ['data:/data']}\nvolumes: {data: {}}\n"
JOB = "  job: {image: IMAGE, network_mode: none, command: ['true']}\n"
BROKEN = "  broken: {image: IMAGE, network_mode: none, command: ['false']}\n"


@pytest.fixture(autouse=True)
def _possible(served: Served) -> None:
    if not served.host.registration["capabilities"]["compose_deployments"]:
        pytest.skip("no Docker Compose: install its plugin, or this project's extra `compose`")


class Stack:
    """A project that is deployed again and again."""

    def __init__(self, served: Served, project: str, image: str) -> None:
        self._served, self._project, self._image = served, project, image

    async def deploy(self, services: str = "", action: str = "up", **options: object) -> Deployment:
        request = DeployRequest(
            self._project,
            f"services:\n{services}".replace("IMAGE", self._image),
            action=action,  # type: ignore[arg-type] # one of three words
            **{"pull_images": False, **options},  # type: ignore[arg-type] # as the test names them
        )
        deployment = await self._served.hub.deploy(self._served.host.id, request)
        return await deployment.done(WITHIN_S)


@pytest.fixture
def stack(served: Served, project: str, busybox_image: str) -> Stack:
    return Stack(served, project, busybox_image)


@pytest.mark.protocol("deploy_compose up", "deploy_compose restart", "deploy_compose down")
async def test_a_project_from_up_to_down(
    stack: Stack, project: str, docker_client: docker.APIClient
) -> None:
    """Up is linked and runs, restart makes it anew, down keeps its volumes, or takes them along if asked to."""

    def volumes() -> list[str]:
        listed = docker_client.volumes(filters={"name": f"{project}_data"})["Volumes"]
        return [volume["Name"] for volume in listed or ()]

    up = await stack.deploy(WEB)
    assert up.outcome == "running", up.error
    assert up.complete is not None
    web = up.complete.services["web"]
    assert up.linked == (web.container_id,)
    labels = docker_client.inspect_container(web.container_id)["Config"]["Labels"]
    assert labels["com.docker.compose.project"] == project

    again = await stack.deploy(WEB, action="restart")
    assert again.outcome == "running"
    assert again.linked != up.linked
    down = await stack.deploy(WEB, action="down")
    assert (down.outcome, volumes()) == ("stopped", [f"{project}_data"])
    assert not docker_client.containers(
        all=True, filters={"label": [f"com.docker.compose.project={project}"]}
    )
    gone = await stack.deploy(WEB, action="down", remove_volumes=True)
    assert (gone.outcome, volumes()) == ("stopped", [])


@pytest.mark.protocol("deploy_compose options")
async def test_all_that_can_be_asked_for(
    stack: Stack,
    docker_client: docker.APIClient,
    docker_registry: DockerRegistry,
    busybox_image: str,
) -> None:
    """What the user wrote beside the file reaches the services, and a private image is pulled with what was stored."""
    private = docker_registry.push(docker_client, "wire:1", IDLE, base=busybox_image)
    services = (
        "  web:\n"
        f"    image: {private}\n"
        "    network_mode: none\n"
        "    env_file: web.env\n"
        "    environment: {WORD: '${WORD}'}\n"
        "    healthcheck: {test: ['CMD', 'true'], interval: 1s}\n"
        "  debug: {image: IMAGE, network_mode: none, profiles: [debug]}\n"
        "  other: {image: IMAGE, network_mode: none, profiles: [other]}\n"
    )
    options: dict[str, Any] = {
        "env_files": {".env": "WORD=two words\n", "web.env": "PORT=80\n"},
        "profiles": ["debug"],
        "wait_for_healthy": True,
    }
    credentials = [
        {"registry_url": private.partition("/")[0], "username": USER, "password": PASSWORD}
    ]
    pulled = await stack.deploy(
        services.replace("IMAGE", private),
        pull_images=True,
        registry_credentials=credentials,
        **options,
    )
    try:
        assert pulled.outcome == "running", pulled.error
        assert pulled.complete is not None
        assert set(pulled.complete.services) == {"web", "debug"}
        web = docker_client.inspect_container(pulled.complete.services["web"].container_id)
        assert {"WORD=two words", "PORT=80"} <= {*web["Config"]["Env"]}
        assert web["State"]["Health"]["Status"] == "healthy"
    finally:
        await stack.deploy(
            services.replace("IMAGE", private), action="down", remove_volumes=True, **options
        )
        docker_client.remove_image(private, force=True)


@pytest.mark.protocol("deploy_progress", "deploy_complete")
async def test_how_far_it_is_and_how_it_ended(stack: Stack) -> None:
    """The bar never goes back; all well, some well and nothing well are three different ends."""
    well = await stack.deploy(WEB.replace("volumes: {", JOB + "volumes: {"))
    assert well.outcome == "running", well.error
    percents = [step.percent for step in well.progress]
    assert percents == sorted(percents)
    assert well.completions == 1

    some = await stack.deploy(JOB + BROKEN)
    assert some.outcome == "partial"
    assert some.complete is not None
    assert some.complete.failed_services == ["broken"]
    none = await stack.deploy(BROKEN)
    assert (none.outcome, bool(none.error)) == ("failed", True)
    refused = await stack.deploy("  web: [\n")
    assert (refused.outcome, refused.completions) == ("failed", 0)


@pytest.mark.protocol("scan_compose_dirs", "read_compose_file")
async def test_compose_files_are_found_and_read(served: Served, tmp_path: Path) -> None:
    """With what they declare, when they changed in UTC, and the env files beside them; what is none is refused."""
    directory = tmp_path / "paper"
    directory.mkdir()
    text = "services:\n  web:\n    image: nginx\n    env_file: web.env\n"
    (directory / "compose.yml").write_text(text)
    (directory / ".env").write_text("TZ=UTC\n")
    (directory / "web.env").write_text("PORT=80\n")
    (directory / "notes.txt").write_text("nothing\n")

    scanned = await served.hub.ask(
        served.host.id, "scan_compose_dirs", {"paths": [str(tmp_path)], "recursive": True}
    )
    assert scanned.ok
    (found,) = [each for each in scanned.body["compose_files"] if str(tmp_path) in each["path"]]
    assert (found["project_name"], found["services"], found["size"]) == (
        "paper",
        ["web"],
        len(text),
    )
    assert found["modified"].endswith("Z")

    async def read(name: str) -> dict[str, object]:
        answer = await served.hub.ask(
            served.host.id, "read_compose_file", {"path": str(directory / name)}
        )
        body: dict[str, object] = answer.body
        return body

    content = await read("compose.yml")
    assert (content["success"], content["content"]) == (True, text)
    assert content["env_files"] == {".env": "TZ=UTC\n", "web.env": "PORT=80\n"}
    refused = await read("notes.txt")
    assert (refused["success"], refused["error"]) == (False, "Not a compose file")


@pytest.mark.protocol("deploy_complete")
async def test_the_end_is_told_although_the_link_is_cut(served: Served, stack: Stack) -> None:
    """A deployment goes on without the server, which learns of its end over the next connection."""
    deploying = asyncio.get_running_loop().create_task(stack.deploy(WEB))
    await served.told("deploy_progress")
    served.hub.faults.cut(served.host)
    deployed = await deploying
    assert deployed.outcome == "running"
    assert served.host.connections == 2
