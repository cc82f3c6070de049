"""Deployments as the server sees them: acknowledged when sound, told of on the way, and their end never lost."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakes.channel import FakeChannel
from fakes.compose import FakeCompose
from fakes.engine import FakeEngine, Recipe
from fakes.stacks import STACKS_DIR, MemoryStacks
from fakes.store import MemoryStore
from features.asking import COMMAND_ID
from runtime.kitchen import Kitchen

from agent.clock import utcnow
from agent.core.compose.request import DeployRequest
from agent.core.compose.services import PROJECT_LABEL, SERVICE_LABEL
from agent.core.jobs import Job
from agent.core.ledger import Entry, Repeat
from agent.core.machine import StopRequested
from agent.core.own_container import OwnContainer
from agent.features.compose import Deployments
from agent.ports import CommandFailed, EngineUnreachable, Json, Services, StoreError
from agent.ports.compose import Compose

WEB = "services: {web: {image: nginx}}"
BOTH = "services: {web: {image: nginx}, db: {image: postgres}}"
HUB = "https://index.docker.io/v1/"


class World:
    """An agent that can deploy, on an engine in memory. `restarted` is the next process in the same world."""

    def __init__(self, *, before: World | None = None, **options: Any) -> None:
        self.engine: FakeEngine = before.engine if before else FakeEngine()
        self.stacks: MemoryStacks = before.stacks if before else MemoryStacks()
        self.store: MemoryStore = before.store.restarted() if before else MemoryStore()
        self.channel = FakeChannel()
        self.compose = FakeCompose(self.engine, self.stacks)
        self.news = 0
        self._kitchen = Kitchen(strict=False)
        self._options = options

    def agent(self, compose: Compose | None, **options: Any) -> Deployments:
        runtime = self._kitchen.runtime
        services = Services(
            engine=self.engine,
            store=self.store,
            channel=self.channel,
            clock=utcnow,
            rng=random.Random(1),
            detach=runtime.detach,
            conduct=runtime.conduct,
            news=self.has_news,
            self_update=_no_update,
        )
        return Deployments(services, compose, self.stacks, **options)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[World]:
        """The agent at work; stopped at the end of the block."""
        async with self._kitchen.running():
            self.deployments = self.agent(self.compose, **self._options)
            yield self

    def stop(self) -> None:
        self._kitchen.runtime.post(StopRequested("SIGTERM"))

    async def deploy(self, content: str = WEB, *, command_id: str = COMMAND_ID, **more: Any) -> Any:
        """Asks as the server does; the acknowledgement."""
        [handler] = self.deployments.handlers()
        payload = {
            "deployment_id": "h:paper:01234567",
            "project_name": "paper",
            "compose_content": content,
            "action": "up",
            **more,
        }
        return await handler.run(DeployRequest.model_validate(payload), command_id)

    async def result(self) -> Json:
        """What is queued for the server in the end."""
        async with asyncio.timeout(4000):
            while not self.store.rows:
                await asyncio.sleep(0.1)
        [row] = self.store.rows.values()
        assert row.kind == "deploy_complete"
        return row.payload

    async def deployed(self, content: str = WEB, **more: Any) -> Json:
        assert await self.deploy(content, **more) == {"status": "deployment_started"}
        return await self.result()

    def add(self, service: str, *, image: str = "nginx", project: str = "paper") -> str:
        """A container of a project that was deployed before."""
        labels = {PROJECT_LABEL: project, SERVICE_LABEL: service}
        return self.engine.add(
            f"{project}-{service}-1", running=True, image=image, config={"Labels": labels}
        )

    def image(self, name: str, **recipe: Any) -> None:
        self.engine.registry[name] = Recipe(**recipe)
        self.engine.image_store.add(name)

    @property
    def stages(self) -> list[str]:
        """Without what was told about a stage again."""
        told = [payload["stage"] for payload in self.channel.payloads("deploy_progress")]
        return [
            stage for stage, before in zip(told, [None, *told], strict=False) if stage != before
        ]

    @property
    def names(self) -> set[str]:
        return {box.name for box in self.engine.boxes.values()}

    def has_news(self) -> None:
        self.news += 1


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    for name in ("nginx", "postgres"):
        world.image(name)
    async with world.running():
        yield world


# --- What becomes of it


async def test_a_first_deployment(world: World) -> None:
    """The files are stored, the services run, the end is queued with the job's own end, and delivery is told."""
    files = {".env": "TAG=1\n", "web.env": "A=b\n"}
    assert await world.deployed(BOTH, env_files=files) == {
        "deployment_id": "h:paper:01234567",
        "action": "up",
        "success": True,
        "partial_success": False,
        "services": {
            name: {
                "container_id": box.id[:12],
                "container_name": f"paper-{name}-1",
                "image": image,
                "status": "running",
                "restart_policy": "no",
            }
            for name, image in (("db", "postgres"), ("web", "nginx"))
            for box in world.engine.boxes.values()
            if box.name == f"paper-{name}-1"
        },
    }
    assert world.stacks.stored == {"paper": {"docker-compose.yml": BOTH, **files}}
    assert (world.store.begun, world.news) == ({}, 1)
    assert list(world.store.rows) == [f"deploy_complete:{COMMAND_ID}"]


async def test_what_compose_is_given(world: World) -> None:
    """As stored, so that labels lead there; the credentials are those that the images need and no others."""
    credentials = [
        {"registry_url": "", "username": "me", "password": "hush"},
        {"registry_url": "https://nas:5000/", "username": "you", "password": "hush"},
    ]
    await world.deployed(
        pull_images=True, force_recreate=True, profiles=["x"], registry_credentials=credentials
    )
    assert world.compose.calls == [("config", "paper"), ("pull", "paper"), ("up", "paper")]
    project = world.compose.asked["project"]
    assert (project.file, project.document) == (f"{STACKS_DIR}/paper/docker-compose.yml", None)
    assert (project.directory, list(project.profiles)) == (f"{STACKS_DIR}/paper", ["x"])
    assert list(world.compose.asked["auths"]) == [HUB]
    assert world.compose.asked["force_recreate"]


async def test_down(world: World) -> None:
    """Everything of the project goes by its labels; the stored files stay, whatever came along with the command."""
    world.add("web")
    world.stacks.stored["paper"] = {"docker-compose.yml": WEB}
    result = await world.deployed("services: [", action="down")
    assert (result["success"], result["action"], result["services"]) == (True, "down", {})
    assert world.names == set()
    assert world.compose.calls == [("down", "paper")]
    assert world.compose.asked["remove_volumes"] is False
    assert world.stacks.stored["paper"] == {"docker-compose.yml": WEB}


async def test_down_with_volumes(world: World) -> None:
    """The stack's directory goes too, and only after all else."""
    world.add("web")
    world.stacks.stored["paper"] = {"docker-compose.yml": WEB}
    assert (await world.deployed(action="down", remove_volumes=True))["success"]
    assert world.compose.asked["remove_volumes"] is True
    assert world.stacks.stored == {}


async def test_a_failed_down_keeps_the_directory(world: World) -> None:
    """What is still there may have to be taken down again."""
    world.add("web")
    world.stacks.stored["paper"] = {"docker-compose.yml": WEB}
    world.compose.failing["down"] = "the network is in use"
    result = await world.deployed(action="down", remove_volumes=True)
    assert (result["success"], result["error"]) == (False, "the network is in use")
    assert list(result["services"]) == ["web"]
    assert "paper" in world.stacks.stored


async def test_restart(world: World) -> None:
    """Pulled first, for that takes longest; then down, volumes kept, and up."""
    before = world.add("web")
    result = await world.deployed(action="restart", pull_images=True)
    assert result["success"]
    assert [name for name, _ in world.compose.calls] == ["config", "pull", "down", "up"]
    assert world.compose.asked["remove_volumes"] is False
    assert before not in world.engine.boxes
    assert world.names == {"paper-web-1"}


async def test_some_services_fail(world: World) -> None:
    """Partly a success: the failed are named, with what is wrong with them; what runs is left running."""
    world.image("broken", dies_after_s=0.5, exit_code=3)
    content = "services: {web: {image: nginx}, db: {image: broken}}"
    result = await world.deployed(content, wait_for_healthy=True)
    assert (result["success"], result["partial_success"]) == (False, True)
    assert result["failed_services"] == ["db"]
    assert result["error"] == "1 of 2 services failed: db exited with code 3"
    assert result["services"]["db"]["error"] == "exited with code 3"
    assert result["services"]["db"]["exit_code"] == 3
    assert world.names == {"paper-web-1", "paper-db-1"}


async def test_a_first_deployment_that_fails(world: World) -> None:
    """What it left behind is removed: nothing of the project was there before."""
    world.compose.failing["up"] = "port is already allocated"
    result = await world.deployed()
    assert result["success"] is result["partial_success"] is False
    assert (result["error"], result["services"]) == ("port is already allocated", {})
    assert world.compose.calls[-1] == ("down", "paper")
    assert world.compose.asked["remove_volumes"] is False
    assert world.names == set()


async def test_a_redeployment_that_fails(world: World) -> None:
    """What was there before stays, and is reported."""
    world.add("db", image="postgres")
    world.compose.failing["up"] = "port is already allocated"
    result = await world.deployed(BOTH)
    assert (result["success"], result["error"]) == (False, "port is already allocated")
    assert ("down", "paper") not in world.compose.calls
    assert world.names == {"paper-web-1", "paper-db-1"}
    assert list(result["services"]) == ["db", "web"]


async def test_a_pull_that_fails(world: World) -> None:
    """Nothing was touched, and nothing is begun."""
    world.add("web")
    world.compose.failing["pull"] = "no basic auth credentials"
    result = await world.deployed(pull_images=True)
    assert (result["success"], result["partial_success"]) == (False, False)
    assert result["error"] == "pulling: no basic auth credentials"
    assert ("up", "paper") not in world.compose.calls


# --- Waiting for health


async def test_waiting_until_healthy(world: World) -> None:
    """The end is told when the last check has passed, not at the timeout."""
    world.image("slow", health=((0.0, "starting"), (20.0, "healthy")))
    began_s = asyncio.get_running_loop().time()
    result = await world.deployed("services: {web: {image: slow}}", wait_for_healthy=True)
    assert result["success"]
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(20, abs=1.5)


async def test_a_service_that_does_its_work_and_ends(world: World) -> None:
    """A migration that exited with 0 is fine: nobody waits for it until the timeout."""
    world.image("migrate", dies_after_s=1.0, exit_code=0)
    began_s = asyncio.get_running_loop().time()
    content = "services: {web: {image: nginx}, job: {image: migrate}}"
    result = await world.deployed(content, wait_for_healthy=True, health_timeout=120)
    assert result["success"]
    assert result["services"]["job"]["status"] == "exited"
    assert asyncio.get_running_loop().time() - began_s < 10


async def test_never_healthy(world: World) -> None:
    """The timeout is the server's; a check that did not pass by then has failed."""
    world.image("slow", health=((0.0, "starting"),))
    began_s = asyncio.get_running_loop().time()
    content = "services: {web: {image: slow}}"
    result = await world.deployed(content, wait_for_healthy=True, health_timeout=30)
    assert (result["success"], result["services"]["web"]["status"]) == (False, "starting")
    assert result["error"] == "1 of 1 services failed: web was not healthy in time"
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(30, abs=1.5)


async def test_a_crash_loop(world: World) -> None:
    """A container that is started again and again is running each time one looks, and not fine."""
    world.image("broken", dies_after_s=1.5, exit_code=1)
    content = "services: {web: {image: broken, restart: always}}"
    result = await world.deployed(content, wait_for_healthy=True, health_timeout=20)
    assert (result["success"], result["services"]["web"]["status"]) == (False, "restarting")
    assert result["error"].startswith("1 of 1 services failed: web keeps restarting")


# --- What is refused


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("services: [", "failed to parse docker-compose.yml: yaml: line 1"),
        (
            "services: {web: {build: .}}",
            "service web is built from source, which is not supported: build its image on the host "
            "or elsewhere, and name it with `image:`",
        ),
        (
            "services: {web: {image: nginx, profiles: [debug]}}",
            "no service would run: the project has none for these profiles",
        ),
    ],
)
async def test_a_project_that_is_not_sound(world: World, content: str, error: str) -> None:
    """The reply says why. Nothing was touched: not the containers, not the stored files."""
    world.add("web")
    world.stacks.stored["paper"] = {"docker-compose.yml": WEB}
    with pytest.raises(CommandFailed) as refused:
        await world.deploy(content)
    assert str(refused.value) == error
    assert world.stacks.stored == {"paper": {"docker-compose.yml": WEB}}
    assert (world.stacks.staged, world.store.begun, world.store.rows) == ({}, {}, {})
    assert world.names == {"paper-web-1"}
    assert (await world.deployed(WEB))["success"]


async def test_two_at_a_time(world: World) -> None:
    """One deployment a project; another project is not kept waiting."""
    world.compose.delay_s["up"] = 30.0
    await world.deploy()
    with pytest.raises(CommandFailed, match=r"^paper is being deployed; try again"):
        await world.deploy(action="down", command_id="another")
    other = await world.deploy(project_name="other", command_id="a third")
    assert other == {"status": "deployment_started"}
    await asyncio.sleep(60)
    assert set(world.store.rows) == {f"deploy_complete:{COMMAND_ID}", "deploy_complete:a third"}
    assert await world.deploy(action="down", command_id="a fourth")


@pytest.mark.parametrize("action", ["up", "down", "restart"])
async def test_the_agents_own_project(action: str) -> None:
    """It would end before it is done."""
    world = World()
    own = world.add("agent", project="infra")
    world._options["own"] = OwnContainer(own)
    async with world.running():
        with pytest.raises(CommandFailed, match=r"^infra is the project the agent itself"):
            await world.deploy(project_name="infra", action=action)
        assert world.compose.calls == []


@pytest.mark.parametrize("method", ["stage", "commit"])
async def test_a_full_disk(world: World, method: str) -> None:
    """The reply says so, nothing is deployed, and nothing of it is left on record."""
    world.stacks.failing[method] = StoreError("/data/stacks cannot be used: no space left")
    with pytest.raises(CommandFailed, match="no space left"):
        await world.deploy()
    assert (world.store.begun, world.stacks.staged, world.names) == ({}, {}, set())


async def test_without_compose() -> None:
    """The capabilities say so, and so does the reply of a server that asks nevertheless."""
    world = World()
    async with world.running():
        world.deployments = world.agent(None, why_not="Docker Compose is not installed")
        assert world.deployments.capabilities() == {
            "compose_deployments": False,
            "multi_env_files": False,
        }
        with pytest.raises(CommandFailed, match=r"not possible here: Docker Compose is not"):
            await world.deploy()


async def test_a_disk_that_was_full_at_the_start(world: World) -> None:
    """Nothing is promised to the server; what it asks for nevertheless is tried, for the disk may have been mended."""
    world.deployments = world.agent(world.compose, why_not="no space left")
    assert not any(world.deployments.capabilities().values())
    assert (await world.deployed())["success"]


async def test_an_engine_that_is_away(world: World) -> None:
    """Nothing is begun, and the reply says what is missing."""
    world.engine.down()
    with pytest.raises(CommandFailed, match="does not answer"):
        await world.deploy()
    assert world.stacks.stored == {}


# --- Binds


async def contained(*mounts: tuple[str, str], **options: Any) -> World:
    world = World(**options)
    world.image("nginx")
    own = world.engine.add("dockmon-agent", running=True)
    world.engine.boxes[own].mounts = [
        {"Type": "bind", "Source": source, "Destination": destination, "RW": True}
        for source, destination in mounts
    ]
    world._options["own"] = OwnContainer(own)
    return world


BINDS = "services: {web: {image: nginx, volumes: ['./site:/site', '/srv/media:/media']}}"


async def test_relative_binds_of_an_agent_in_a_container() -> None:
    """They are the host's own paths by the longest mount over them; absolute ones are the host's already."""
    world = await contained(("/", "/"), ("/mnt/agent", "/data"))
    async with world.running():
        assert (await world.deployed(BINDS))["success"]
        project = world.compose.asked["project"]
        assert project.directory == "/mnt/agent/stacks/paper"
        assert project.document["services"]["web"]["volumes"] == [
            {"type": "bind", "source": "/mnt/agent/stacks/paper/./site", "target": "/site"},
            {"type": "bind", "source": "/srv/media", "target": "/media"},
        ]
        assert list(project.profiles) == ["*"]


async def test_binds_with_a_directory_that_is_told() -> None:
    """HOST_STACKS_DIR wins over what the mounts say."""
    world = await contained(("/mnt/agent", "/data"), host_stacks_dir="/srv/stacks")
    async with world.running():
        await world.deployed(BINDS)
        assert world.compose.asked["project"].directory == "/srv/stacks/paper"


async def test_a_mount_for_one_directory_of_one_project() -> None:
    """The host has that, and the project's other files are ours alone: they need not be there."""
    world = await contained(("/mnt/site", "/data/stacks/paper/site"))
    async with world.running():
        await world.deployed("services: {web: {image: nginx, volumes: ['site:/site']}}")
        [volume] = world.compose.asked["project"].document["services"]["web"]["volumes"]
        assert volume["source"] == "/mnt/site"


async def test_binds_that_only_the_agent_would_see() -> None:
    """Refused: the engine would make an empty directory on the host in their place."""
    world = await contained(("/mnt/other", "/other"))
    async with world.running():
        with pytest.raises(CommandFailed, match=r"service web: .* is in the agent's own container"):
            await world.deploy(BINDS)
        assert world.stacks.stored == {}
        assert (await world.deployed())["success"], "one without such binds is fine"


# --- What is told on the way


async def test_stages_rise(world: World) -> None:
    """The server's bar never goes back; services are told from the first container on."""
    await world.deployed(pull_images=True, wait_for_healthy=True)
    assert world.stages == [
        "validating",
        "parsing",
        "pulling_image",
        "creating",
        "starting",
        "waiting_for_health",
        "health_check",
    ]
    told = world.channel.payloads("deploy_progress")
    assert {payload["deployment_id"] for payload in told} == {"h:paper:01234567"}
    assert all(("services" in payload) == (payload["stage"] in LATE) for payload in told)
    assert told[-1]["services"] == [
        {"name": "web", "status": "running", "image": "nginx", "message": "web is running"}
    ]


LATE = {"executing", "creating", "starting", "waiting_for_health", "health_check"}


async def test_without_a_session(world: World) -> None:
    """Progress is nobody's then; the end waits in the store."""
    world.channel.is_live = False
    assert (await world.deployed())["success"]
    assert world.channel.sent == []


# --- Bad days


async def test_compose_hangs(world: World) -> None:
    """It is given up after half an hour, and the server is told."""
    world.compose.delay_s["up"] = 1e6
    began_s = asyncio.get_running_loop().time()
    result = await world.deployed()
    assert result["error"] == "Compose did not end within 1800 s"
    assert asyncio.get_running_loop().time() - began_s < 2000


async def test_a_disk_that_fills_up_meanwhile(world: World) -> None:
    """The end is written down as soon as it can be."""
    world.compose.delay_s["up"] = 10.0
    await world.deploy()
    world.store.broken = StoreError("no space left")
    await asyncio.sleep(3600)
    world.store.broken = None
    assert (await world.result())["success"]


@pytest.mark.parametrize("wait_for_healthy", [True, False])
async def test_an_engine_that_restarts_meanwhile(world: World, wait_for_healthy: bool) -> None:
    """It is waited for: the containers may be well."""
    world.image("slow", health=((0.0, "starting"), (60.0, "healthy")))
    world.compose.delay_s["up"] = 10.0
    await world.deploy("services: {web: {image: slow}}", wait_for_healthy=wait_for_healthy)
    await asyncio.sleep(10.5 if wait_for_healthy else 9.5)
    world.engine.failing["containers"] = EngineUnreachable("the engine does not answer")
    await asyncio.sleep(30)
    del world.engine.failing["containers"]
    result = await world.result()
    assert result["success"], result["error"]


async def test_a_disk_that_hangs(world: World) -> None:
    """The reply comes nevertheless, before the server waits no more; nothing is deployed."""
    world.stacks.hangs = True
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(CommandFailed, match="took too long to read the project"):
        await world.deploy()
    assert asyncio.get_running_loop().time() - began_s < 120
    assert world.names == set()


async def test_an_engine_that_goes_away_meanwhile(world: World) -> None:
    """It failed, whatever became of it: what cannot be seen is not claimed."""
    world.compose.delay_s["up"] = 10.0
    await world.deploy()
    await asyncio.sleep(5)
    world.engine.down()
    result = await world.result()
    assert (result["success"], result["services"]) == (False, {})
    assert result["error"].startswith("what came of it is unknown: ")


@pytest.mark.parametrize(
    ("method", "more"),
    [("pull", {"pull_images": True}), ("up", {}), ("down", {"action": "down"})],
)
async def test_the_agent_is_restarted_meanwhile(method: str, more: Json) -> None:
    """Compose is ended with us, and the next process reports the failure and what is there: once, never silently."""
    world = World()
    world.image("nginx")
    world.add("web")
    async with world.running():
        world.compose.delay_s[method] = 100.0
        await world.deploy(**more)
        await asyncio.sleep(5)
        world.stop()
    assert world.compose.ended == [method]
    assert (list(world.store.begun), world.store.rows) == ([COMMAND_ID], {})

    after = World(before=world)
    async with after.running():
        await after.deployments.recover()
        result = await after.result()
        assert (result["success"], result["deployment_id"]) == (False, "h:paper:01234567")
        assert result["error"].startswith("the agent was restarted during the deployment")
        assert list(result["services"]) == ["web"]
        assert (after.store.begun, after.news) == ({}, 1)
        await after.deployments.recover()
        assert len(after.store.rows) == 1


async def test_an_engine_that_comes_back_after_us() -> None:
    """An interrupted deployment is reported when the engine tells what is there, or without it in the end."""
    world = World()
    world.image("nginx")
    async with world.running():
        world.compose.delay_s["up"] = 100.0
        await world.deploy()
        await asyncio.sleep(5)
        world.stop()
    world.engine.failing["containers"] = EngineUnreachable("the engine does not answer")
    after = World(before=world)
    async with after.running():
        began_s = asyncio.get_running_loop().time()
        await after.deployments.recover()
        assert (await after.result())["services"] == {}
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(120, abs=10)


async def test_a_full_disk_after_a_restart() -> None:
    """What was interrupted is reported when the disk takes it, and a record that cannot be read holds up nothing."""
    world = World()
    world.image("nginx")
    async with world.running():
        world.compose.delay_s["up"] = 100.0
        await world.deploy()
        await asyncio.sleep(5)
        world.stop()
    after = World(before=world)
    spoiled = Job("spoiled", "compose", "paper", {})
    after.store.begun = {"spoiled": spoiled, **after.store.begun}
    after.store.broken = StoreError("no space left")
    async with after.running():
        recovering = asyncio.get_running_loop().create_task(after.deployments.recover())
        await asyncio.sleep(60)
        after.store.broken = None
        assert (await after.result())["deployment_id"] == "h:paper:01234567"
        await recovering
        assert after.store.begun == {}


async def test_what_is_written_down(world: World) -> None:
    """Neither content nor credentials: what is on disk tells only which deployment it was."""
    world.compose.delay_s["up"] = 10.0
    credentials = [{"registry_url": "", "username": "me", "password": "hush"}]
    await world.deploy(env_file_content="SECRET=hush", registry_credentials=credentials)
    [job] = world.store.begun.values()
    assert (job.kind, job.subject) == ("compose", "paper")
    assert job.record == {
        "deployment_id": "h:paper:01234567",
        "project": "paper",
        "action": "up",
    }
    assert (await world.result())["success"]


async def test_a_command_without_a_reply() -> None:
    """After a restart, one that was on record was started, and any other was not: nothing had been touched."""
    world = World()
    world.image("nginx")
    async with world.running():
        world.compose.delay_s["up"] = 100.0
        await world.deploy()
        await asyncio.sleep(5)
        world.stop()
    after = World(before=world)
    async with after.running():
        await after.deployments.recover()
        assert await after.deployments.was_started(_entry(COMMAND_ID)) == {
            "status": "deployment_started"
        }
        assert await after.deployments.was_started(_entry("another")) is None


async def _no_update(_: object) -> Json:
    raise AssertionError("nobody asked for one")


def _entry(command_id: str) -> Entry:
    return Entry(command_id, "deploy_compose", "compose paper", "", Repeat.PROBE, "")
