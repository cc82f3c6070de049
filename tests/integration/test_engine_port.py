"""The engine adapter on a real engine: every call of the port, and every kind of error."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import docker
import pytest
from docker_registry import PASSWORD, USER, DockerRegistry
from engine import IDLE, Containers

from agent.adapters.engine import DockerEngine, Endpoint
from agent.ports import (
    Conflict,
    EngineRefused,
    EngineTimeout,
    Json,
    NotFound,
    RegistryAuth,
)

DEADLINE_S = 60.0
LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z (.*)\n")


@pytest.fixture
async def engine(engine_url: str) -> AsyncIterator[DockerEngine]:
    engine = DockerEngine(Endpoint.parse(engine_url))
    yield engine
    await engine.close()


async def status(engine: DockerEngine, container: str) -> str:
    state: Json = (await engine.inspect_container(container, deadline_s=DEADLINE_S))["State"]
    return str(state["Status"])


def frames(log: bytes) -> list[tuple[int, str]]:
    """The stream and the line of each frame of a multiplexed log."""
    found = []
    while log:
        end = 8 + int.from_bytes(log[4:8])
        found.append((log[0], log[8:end].decode()))
        log = log[end:]
    return found


async def test_facts_are_the_engines_own(
    engine: DockerEngine, docker_client: docker.APIClient
) -> None:
    """They are what Docker's own client reads."""
    facts = await engine.facts(deadline_s=DEADLINE_S)
    info, version = docker_client.info(), docker_client.version()
    assert (facts.engine_id, facts.name) == (info["ID"], info["Name"])
    assert (facts.version, facts.api_version) == (version["Version"], version["ApiVersion"])
    assert (facts.total_memory_bytes, facts.num_cpus) == (info["MemTotal"], info["NCPU"])
    assert (facts.os_type, facts.kernel_version) == (info["OSType"], info["KernelVersion"])
    assert facts.operating_system == info["OperatingSystem"]
    bridge = docker_client.networks(names=["^bridge$"])
    assert facts.bridge_created_at == (bridge[0]["Created"] if bridge else "")
    for network in bridge:
        assert {config["Subnet"] for config in network["IPAM"]["Config"]} <= set(facts.subnets)


async def test_all_containers_are_listed(engine: DockerEngine, containers: Containers) -> None:
    """Running or not, with what the Engine API says about each."""
    running, created = containers.run("running"), containers.create("created")
    listed = {each["Id"]: each for each in await engine.containers(deadline_s=DEADLINE_S)}
    assert listed[running.id]["State"] == "running"
    assert listed[created.id]["Names"] == [f"/{created.name}"]


async def test_a_container_is_found_by_id_short_id_or_name(
    engine: DockerEngine, containers: Containers
) -> None:
    """All three are the same container."""
    made = containers.create()
    for name in (made.id, made.id[:12], made.name):
        assert (await engine.inspect_container(name, deadline_s=DEADLINE_S))["Id"] == made.id


async def test_an_image_is_found_by_name_or_id(engine: DockerEngine, busybox_image: str) -> None:
    """The ID in the answer asks for the same image again."""
    image = await engine.inspect_image(busybox_image, deadline_s=DEADLINE_S)
    assert busybox_image in image["RepoTags"]
    again = await engine.inspect_image(image["Id"], deadline_s=DEADLINE_S)
    assert again["Id"] == image["Id"]


async def test_a_container_through_its_life(engine: DockerEngine, containers: Containers) -> None:
    """Started, stopped, restarted, killed, renamed, removed. What is so already is no error."""
    web = containers.create().id
    await engine.start(web, deadline_s=DEADLINE_S)
    await engine.start(web, deadline_s=DEADLINE_S)
    assert await status(engine, web) == "running"
    await engine.stop(web, timeout_s=10, deadline_s=DEADLINE_S)
    await engine.stop(web, timeout_s=10, deadline_s=DEADLINE_S)
    assert await status(engine, web) == "exited"
    await engine.restart(web, timeout_s=10, deadline_s=DEADLINE_S)
    assert await status(engine, web) == "running"
    await engine.kill(web, deadline_s=DEADLINE_S)
    name = (await engine.inspect_container(web, deadline_s=DEADLINE_S))["Name"].strip("/")
    await engine.rename(web, f"{name}-renamed", deadline_s=DEADLINE_S)
    renamed = await engine.inspect_container(f"{name}-renamed", deadline_s=DEADLINE_S)
    assert renamed["Id"] == web
    await engine.remove(web, force=True, deadline_s=DEADLINE_S)
    with pytest.raises(NotFound):
        await engine.inspect_container(web, deadline_s=DEADLINE_S)


async def test_what_a_missing_container_answers(engine: DockerEngine) -> None:
    """Docker's own sentence, whatever was asked of it."""
    missing = "4f1c" * 16
    for call in (
        engine.inspect_container(missing, deadline_s=DEADLINE_S),
        engine.start(missing, deadline_s=DEADLINE_S),
        engine.stop(missing, timeout_s=1, deadline_s=DEADLINE_S),
        engine.kill(missing, deadline_s=DEADLINE_S),
        engine.remove(missing, force=False, deadline_s=DEADLINE_S),
        engine.logs(missing, tail=1, since=None, max_bytes=100, deadline_s=DEADLINE_S),
    ):
        with pytest.raises(NotFound, match=f"^(?i:.*no such container: {missing})$"):
            await call


async def test_what_a_missing_image_answers(engine: DockerEngine) -> None:
    """The same for images."""
    with pytest.raises(NotFound, match=r"(?i)no such image: dmatest-none"):
        await engine.inspect_image("dmatest-none", deadline_s=DEADLINE_S)


async def test_a_name_that_is_taken(engine: DockerEngine, containers: Containers) -> None:
    """Neither renaming nor creating takes it from its owner."""
    one, two = containers.create("one"), containers.create("two")
    with pytest.raises(Conflict, match="already in use"):
        await engine.rename(two.id, one.name, deadline_s=DEADLINE_S)
    body = await engine.inspect_container(one.id, deadline_s=DEADLINE_S)
    with pytest.raises(Conflict, match="already in use"):
        await engine.create(body["Config"], one.name, deadline_s=DEADLINE_S)


async def test_a_running_container_is_removed_only_by_force(
    engine: DockerEngine, containers: Containers
) -> None:
    """Without force the engine refuses, and the container runs on."""
    web = containers.run().id
    with pytest.raises(Conflict):
        await engine.remove(web, force=False, deadline_s=DEADLINE_S)
    assert await status(engine, web) == "running"


async def test_a_program_that_is_not_there(engine: DockerEngine, containers: Containers) -> None:
    """The engine's reason reaches the user in one line."""
    web = containers.create(command=["/no/such/program"]).id
    with pytest.raises(EngineRefused, match="/no/such/program") as refusal:
        await engine.start(web, deadline_s=DEADLINE_S)
    assert refusal.value.status in (400, 404)
    assert "\n" not in str(refusal.value)


async def test_removing_keeps_volumes(
    engine: DockerEngine, containers: Containers, docker_client: docker.APIClient
) -> None:
    """Even those without a name, for their data may be all there is."""
    web = containers.create(volumes=["/data"], host={"binds": None}).id
    mounts = (await engine.inspect_container(web, deadline_s=DEADLINE_S))["Mounts"]
    await engine.remove(web, force=True, deadline_s=DEADLINE_S)
    try:
        assert docker_client.inspect_volume(mounts[0]["Name"])["Name"] == mounts[0]["Name"]
    finally:
        docker_client.remove_volume(mounts[0]["Name"])


async def test_an_operation_that_takes_longer_than_its_deadline(
    engine: DockerEngine, containers: Containers
) -> None:
    """That is a timeout, its outcome is unknown, and other calls go on meanwhile."""
    web = containers.run(command=["sh", "-c", "trap '' TERM; sleep 3600"]).id
    with pytest.raises(EngineTimeout, match=r"did not answer within 0\.5 s"):
        await engine.stop(web, timeout_s=60, deadline_s=0.5)
    assert await status(engine, web) == "running"


async def test_a_container_is_created_as_its_body_says(
    engine: DockerEngine, busybox_image: str, docker_client: docker.APIClient
) -> None:
    """The Engine API's own keys, host configuration and all."""
    body = {
        "Image": busybox_image,
        "Env": ["A=1"],
        "Cmd": None,
        "Labels": {"com.example.team": "web"},
        "HostConfig": {"NetworkMode": "none", "RestartPolicy": {"Name": "unless-stopped"}},
    }
    web = await engine.create(body, None, deadline_s=DEADLINE_S)
    try:
        made = await engine.inspect_container(web, deadline_s=DEADLINE_S)
        assert made["Id"] == web
        assert "A=1" in made["Config"]["Env"]
        assert made["Config"]["Labels"]["com.example.team"] == "web"
        assert made["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    finally:
        docker_client.remove_container(web, v=True, force=True)


async def test_creating_from_an_image_that_is_not_there(engine: DockerEngine) -> None:
    """It is not pulled; the engine says what is missing."""
    with pytest.raises(NotFound, match=r"(?i)no such image"):
        await engine.create({"Image": "dmatest-none"}, None, deadline_s=DEADLINE_S)


async def test_the_log_of_both_streams(
    engine: DockerEngine, containers: Containers, docker_client: docker.APIClient
) -> None:
    """Multiplexed frames, each with its timestamp; `tail` takes the last lines."""
    web = containers.run(command=["sh", "-c", "echo out; echo err >&2; echo ' last'"]).id
    docker_client.wait(web)
    log = await engine.logs(web, tail=10, since=None, max_bytes=10_000, deadline_s=DEADLINE_S)
    said = [(stream, *LINE.findall(line)) for stream, line in frames(log)]
    assert sorted(said) == [(1, " last"), (1, "out"), (2, "err")]
    last = await engine.logs(web, tail=1, since=None, max_bytes=10_000, deadline_s=DEADLINE_S)
    assert len(frames(last)) == 1


async def test_the_log_since_an_instant(
    engine: DockerEngine, containers: Containers, docker_client: docker.APIClient
) -> None:
    """With its nine decimals a line's own timestamp leaves out exactly what was before."""
    web = containers.run(command=["sh", "-c", "echo one; sleep 0.1; echo two"]).id
    docker_client.wait(web)
    state = (await engine.inspect_container(web, deadline_s=DEADLINE_S))["State"]
    assert state["ExitCode"] == 0
    log = await engine.logs(web, tail=10, since=None, max_bytes=10_000, deadline_s=DEADLINE_S)
    stamp = frames(log)[1][1].split()[0]
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    since = f"{seconds}.{fraction:0<9}"
    log = await engine.logs(web, tail=10, since=since, max_bytes=10_000, deadline_s=DEADLINE_S)
    assert [line.split()[1] for _, line in frames(log)] == ["two"]


async def test_the_log_of_a_tty(
    engine: DockerEngine, containers: Containers, docker_client: docker.APIClient
) -> None:
    """No frames: lines from the first byte on, which is a digit."""
    web = containers.run(command=["echo", "hello"], tty=True).id
    docker_client.wait(web)
    log = await engine.logs(web, tail=10, since=None, max_bytes=10_000, deadline_s=DEADLINE_S)
    assert chr(log[0]).isdigit()
    assert log.decode().split()[1:] == ["hello"]


async def test_a_long_log_loses_its_oldest_lines(
    engine: DockerEngine, containers: Containers, docker_client: docker.APIClient
) -> None:
    """The newest whole frames that fit, whatever `tail` would have allowed."""
    web = containers.run(command=["seq", "20000"]).id
    docker_client.wait(web)
    log = await engine.logs(web, tail=10_000, since=None, max_bytes=10_000, deadline_s=DEADLINE_S)
    assert 9_900 < len(log) <= 10_000
    assert frames(log)[-1][1].endswith(" 20000\n")


async def test_pulling_from_a_registry_that_is_not_there(engine: DockerEngine) -> None:
    """The engine's own reason, for it is the engine that could not connect."""
    with pytest.raises(EngineRefused, match=r"127\.0\.0\.1:1\b"):
        await engine.pull("127.0.0.1:1/none", deadline_s=DEADLINE_S)


async def test_pulling_what_is_no_reference(engine: DockerEngine) -> None:
    """Refused by the engine, in its words."""
    with pytest.raises(EngineRefused, match="must be lowercase") as refusal:
        await engine.pull("NotLower", deadline_s=DEADLINE_S)
    assert refusal.value.status == 400


async def test_pulling_with_credentials(
    engine: DockerEngine,
    docker_client: docker.APIClient,
    docker_registry: DockerRegistry,
    busybox_image: str,
) -> None:
    """They reach the registry that is asked, each step is told, and a wrong password is not quoted."""
    reference = docker_registry.push(docker_client, "paper:1", IDLE, base=busybox_image)
    with pytest.raises(EngineRefused, match="no basic auth credentials"):
        await engine.pull(reference, deadline_s=DEADLINE_S)
    with pytest.raises(EngineRefused) as refusal:
        await engine.pull(reference, auth=RegistryAuth(USER, "wr0ng"), deadline_s=DEADLINE_S)
    assert "wr0ng" not in str(refusal.value)
    told: list[Json] = []
    login = RegistryAuth(USER, PASSWORD, reference.partition("/")[0])
    await engine.pull(reference, auth=login, deadline_s=DEADLINE_S, progress=told.append)
    try:
        image = await engine.inspect_image(reference, deadline_s=DEADLINE_S)
        assert reference in image["RepoTags"]
        assert told[0]["status"].startswith("Pulling from")
        assert told[-1]["status"].startswith("Status: ")
    finally:
        await engine.remove_image(reference, force=True, deadline_s=DEADLINE_S)


async def test_a_stock_engine_forbids_nothing(engine: DockerEngine) -> None:
    """It looks for what it was asked to change, and does not find it."""
    assert (await engine.facts(deadline_s=DEADLINE_S)).forbids == frozenset()
