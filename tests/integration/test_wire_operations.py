"""What the server does to one container, from its button to the engine and back."""

from __future__ import annotations

import asyncio
import secrets

import docker
import pytest
from engine import LABEL, NAME_PREFIX, Containers
from integration.served import Served

from agent.console.image_registry import ImageRegistry

SPEAK = ("sh", "-c", "echo one; echo two >&2; echo three; trap 'exit 0' TERM; sleep 3600 & wait")
NOWHERE = "0123456789ab"


@pytest.mark.protocol("start", "stop", "restart", "kill", "get_status", "inspect")
async def test_a_container_is_started_and_stopped(served: Served, containers: Containers) -> None:
    """Each action is done when its reply is here, and the reply is the one the server reads."""
    web = containers.create("web")
    target = {"container_id": web.id[:12]}

    async def status() -> str:
        return str((await served.ask("get_status", **target))["status"])

    assert await status() == "created"
    assert (await served.ask("start", **target))["status"] == "started"
    assert await status() == "running"
    assert (await served.ask("restart", **target))["status"] == "restarted"
    inspected = (await served.ask("inspect", **target))["container"]
    assert (inspected["Id"], inspected["State"]["Running"]) == (web.id, True)
    assert (await served.ask("stop", **target, timeout=10))["status"] == "stopped"
    assert await status() == "exited"
    await served.ask("start", **target)
    assert (await served.ask("kill", **target))["status"] == "killed"
    assert await status() == "exited"


@pytest.mark.protocol("rename", "remove")
async def test_a_container_gets_another_name_and_goes(
    served: Served, containers: Containers
) -> None:
    """What is done once is not done again: the second time there is nothing there."""
    web = containers.run("web")
    target = {"container_id": web.id[:12]}
    new_name = f"{web.name}-renamed"
    assert (await served.ask("rename", **target, new_name=new_name))["status"] == "renamed"
    inspected = (await served.ask("inspect", **target))["container"]
    assert inspected["Name"] == f"/{new_name}"
    assert (await served.ask("remove", **target, force=True))["removed"] is True
    assert "No such container" in await served.refused("remove", **target, force=True)


@pytest.mark.protocol("get_logs")
async def test_the_newest_lines_of_both_streams(served: Served, containers: Containers) -> None:
    """In the order of time, each with its instant in UTC; `since` leaves out what is older.

    The engine copies the two streams side by side, so which of two neighbours it stamped first is its own affair.
    """
    web = containers.run("web", SPEAK)
    await served.events(web.id, "started")
    target = {"container_id": web.id[:12]}
    lines: list[str] = []
    async with asyncio.timeout(30):
        while len(lines) < 3:
            lines = (await served.ask("get_logs", **target, tail=10))["logs"].splitlines()
    stamps, texts = zip(*(line.split(" ", 1) for line in lines), strict=True)
    assert list(stamps) == sorted(stamps)
    assert set(texts) == {"one", "two", "three"}
    assert all(stamp.endswith("Z") for stamp in stamps)
    newest = (await served.ask("get_logs", **target, tail=2))["logs"].splitlines()
    assert newest == lines[-2:]
    later = await served.ask("get_logs", **target, tail=10, since="2100-01-01T00:00:00Z")
    assert later["logs"] == ""


@pytest.mark.protocol("get_system_info")
async def test_what_the_host_is(served: Served, docker_client: docker.APIClient) -> None:
    """The engine's own answers, by the server's names."""
    info = docker_client.info()
    told = (await served.ask("get_system_info"))["result"]
    assert told["os_type"] == info["OSType"]
    assert told["os_version"] == info["OperatingSystem"]
    assert told["kernel_version"] == info["KernelVersion"]
    assert told["docker_version"] == docker_client.version()["Version"]
    assert (told["total_memory"], told["num_cpus"]) == (info["MemTotal"], info["NCPU"])


@pytest.mark.protocol("verify_running")
async def test_whether_it_runs(served: Served, containers: Containers) -> None:
    """One that runs for a while does; one that has ended does not."""
    web = containers.run("web")
    healthy = await served.ask("verify_running", container_id=web.id[:12], max_wait_seconds=5)
    assert healthy["is_healthy"] is True
    job = containers.run("job", ["true"])
    await served.events(job.id, "started", "stopped")
    ended = await served.ask("verify_running", container_id=job.id[:12], max_wait_seconds=5)
    assert ended["is_healthy"] is False


@pytest.mark.protocol("create")
async def test_a_container_from_the_arguments_of_the_sdk(
    served: Served, docker_client: docker.APIClient, busybox_image: str
) -> None:
    """The reply has its ID, and the engine has what was asked for."""
    name = f"{NAME_PREFIX}{secrets.token_hex(4)}"
    config = {
        "image": busybox_image,
        "name": name,
        "environment": {"TZ": "UTC"},
        "labels": {"a": "b"},
    }
    made = await served.ask("create", config=config)
    try:
        inspected = docker_client.inspect_container(made["container_id"])
        assert (inspected["Name"], len(made["container_id"])) == (f"/{name}", 12)
        assert "TZ=UTC" in inspected["Config"]["Env"]
    finally:
        docker_client.remove_container(name, v=True, force=True)


@pytest.mark.protocol("pull_image")
async def test_an_image_is_pulled(
    served: Served, docker_client: docker.APIClient, image_registry: ImageRegistry
) -> None:
    """From a registry that has it; one that is nowhere is an error in the registry's words."""
    reference = image_registry.push("paper", "2.4", {"Cmd": ["sh"], "Labels": {LABEL: "1"}})
    assert (await served.ask("pull_image", image=reference))["success"] is True
    (listed,) = [image for image in await served.ask("list_images") if reference in image["tags"]]
    assert not listed["in_use"]
    docker_client.remove_image(reference, force=True)
    missing = f"{image_registry.address}/nothing:1"
    assert "manifest unknown" in await served.refused("pull_image", image=missing)


@pytest.mark.protocol("unknown command", "unknown action")
async def test_what_nobody_knows(served: Served) -> None:
    """Answered in the words by which the server tells an older agent from a broken one."""
    assert await served.refused("frobnicate") == "unknown command: frobnicate"
    unknown = await served.refused("frobnicate", kind="container_operation", container_id=NOWHERE)
    assert unknown == "unknown action: frobnicate"


@pytest.mark.protocol("list_containers")
async def test_the_list_of_containers(
    served: Served,
    docker_client: docker.APIClient,
    containers: Containers,
    image_registry: ImageRegistry,
) -> None:
    """With what the engine's own list does not have: digests, environment, restart policy, the start's instant."""
    reference = image_registry.push("paper", "2.4", {"Cmd": ["sh"], "Labels": {LABEL: "1"}})
    await served.ask("pull_image", image=reference)
    try:
        web = containers.create(
            "web",
            image=reference,
            environment={"TZ": "UTC"},
            host={"restart_policy": {"Name": "unless-stopped"}},
        )
        docker_client.start(web.id)
        await served.events(web.id, "started")
        (shown,) = [each for each in await served.ask("list_containers") if each["Id"] == web.id]
        assert (shown["Names"], shown["Image"], shown["State"]) == (
            [f"/{web.name}"],
            reference,
            "running",
        )
        assert shown["Env"]["TZ"] == "UTC"
        assert shown["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
        assert shown["StartedAt"] == docker_client.inspect_container(web.id)["State"]["StartedAt"]
        (digest,) = shown["RepoDigests"]
        assert digest.startswith(f"{reference.rpartition(':')[0]}@sha256:")
    finally:
        containers.remove_all()
        docker_client.remove_image(reference, force=True)


@pytest.mark.protocol("event start", "event restart", "event die", "event destroy")
async def test_what_happens_to_a_container_is_told(
    served: Served, docker_client: docker.APIClient, containers: Containers
) -> None:
    """In the engine's order: a restart is an end, a start and a restart; the last is that it is gone."""
    web = containers.run("web", ["sh", "-c", "trap 'exit 3' TERM; sleep 3600 & wait"])
    docker_client.restart(web.id)
    docker_client.stop(web.id)
    docker_client.remove_container(web.id)
    told = await served.events(web.id, "started", "died", "started", "restarted", "died", "deleted")
    assert {event["container_name"] for event in told} == {web.name}
    assert [event["exit_code"] for event in told if event["effect"] == "died"] == [3, 3]
