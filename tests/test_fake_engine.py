"""The engine in memory keeps the contract, and has the bad days it is there for."""

from __future__ import annotations

import asyncio

import pytest
from engine_contract import CONTAINER_EVENTS, DEADLINE_S, EngineContract, Sink, Subject
from engine_objects_contract import (
    ImagesContract,
    NetworksContract,
    PrunesContract,
    RestartsContract,
    StatsContract,
    VolumesContract,
)
from fakes.engine import PAPER, RING, FakeEngine, Recipe, Usage
from terminal_contract import TerminalsContract

from agent.ports import (
    EngineBusy,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    Json,
    NotFound,
    RegistryAuth,
)


def now_s() -> float:
    return asyncio.get_running_loop().time()


class TestFakeEngine(
    EngineContract,
    NetworksContract,
    VolumesContract,
    ImagesContract,
    StatsContract,
    RestartsContract,
    PrunesContract,
    TerminalsContract,
):
    @pytest.fixture
    def subject(self) -> Subject:
        engine = FakeEngine()

        def add(name: str, *, running: bool = False) -> str:
            container = engine.add(name, running=running)
            if running:
                engine.writes(container, "hello")
            return container

        def add_dying(name: str, *, exit_code: int, policy: Json) -> str:
            image = f"dying:{exit_code}"
            engine.registry[image] = Recipe(dies_after_s=0.2, exit_code=exit_code)
            return engine.add(name, image=image, host_config={"RestartPolicy": policy})

        def add_image() -> str:
            return engine.image_store.add("unused:1").tags[0]

        return Subject(engine, PAPER, add, lambda name: name, add_dying, add_image)


async def test_what_was_carried_out_is_recorded() -> None:
    """In order, by name; what was refused or changed nothing is not."""
    engine = FakeEngine()
    web = engine.add("web", running=True)
    await engine.start(web, deadline_s=1)
    await engine.stop(web, timeout_s=1, deadline_s=1)
    await engine.rename(web, "site", deadline_s=1)
    await engine.remove("site", force=False, deadline_s=1)
    assert engine.actions == [("stop", "web"), ("rename", "web"), ("remove", "site")]
    assert (engine.calls["start"], engine.calls["stop"]) == (1, 1)


async def test_the_ring_has_256_events_of_all_types() -> None:
    """Filters apply afterwards: what other types push out is gone."""
    engine, sink = FakeEngine(), Sink()
    web = engine.add("web")
    await engine.start(web, deadline_s=1)
    for _ in range(RING - 1):
        engine.emit("create", engine.boxes[web], type="volume")
    engine.read_events(CONTAINER_EVENTS, sink)
    await asyncio.sleep(0)
    assert sink.actions(web) == ["start"]
    engine.emit("create", engine.boxes[web], type="volume")
    late = Sink()
    engine.read_events(CONTAINER_EVENTS, late)
    await asyncio.sleep(0)
    assert late.events == []


async def test_down() -> None:
    """Streams end, calls fail, and one under way at once; containers stay, and what happens to them is not told."""
    engine, sink = FakeEngine(), Sink()
    web = engine.add("web", running=True)
    engine.read_events(CONTAINER_EVENTS, sink)
    engine.delay_s["stop"] = 5.0
    async with asyncio.TaskGroup() as tasks:
        stop = tasks.create_task(stop_or_why_not(engine, web))
        await asyncio.sleep(1)
        engine.down()
    assert isinstance(stop.result(), EngineUnreachable)
    assert now_s() == 1.0
    assert sink.reason == "the engine went away"
    with pytest.raises(EngineUnreachable):
        await engine.facts(deadline_s=1)
    engine.dies(web)
    engine.up()
    await asyncio.sleep(10)
    assert engine.actions == []
    assert (engine.boxes[web].status, list(engine.ring)) == ("exited", [])


async def stop_or_why_not(engine: FakeEngine, container: str) -> Exception | None:
    try:
        await engine.stop(container, timeout_s=1, deadline_s=30)
    except EngineUnreachable as error:
        return error
    return None


async def test_a_stream_opened_while_it_is_down() -> None:
    """It ends at once, and says so to the sink instead of raising."""
    engine, sink = FakeEngine(), Sink()
    engine.down()
    engine.read_events(CONTAINER_EVENTS, sink)
    await asyncio.sleep(0)
    assert sink.reason == "the engine is down"


async def test_a_cut_connection_keeps_the_ring() -> None:
    """It was not the engine that went: its events are still there."""
    engine, sink = FakeEngine(), Sink()
    web = engine.add("web")
    await engine.start(web, deadline_s=1)
    engine.down()
    engine.up(keep_ring=True)
    engine.read_events(CONTAINER_EVENTS, sink)
    assert await sink.until(web, "start") == ["start"]


async def test_a_timeout_leaves_the_outcome_open() -> None:
    """The caller gives up at its deadline; the engine does what it was asked to all the same."""
    engine = FakeEngine()
    web = engine.add("web", running=True)
    engine.delay_s["stop"] = 30.0
    with pytest.raises(EngineTimeout):
        await engine.stop(web, timeout_s=1, deadline_s=10)
    assert (now_s(), engine.boxes[web].running) == (10.0, True)
    await asyncio.sleep(20)
    assert engine.actions == [("stop", "web")]


async def test_a_caller_that_is_cancelled() -> None:
    """A request that was sent is carried out, though nobody waits for the answer."""
    engine = FakeEngine()
    web = engine.add("web", running=True)
    engine.delay_s["kill"] = 5.0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await engine.kill(web, deadline_s=30)
    await asyncio.sleep(5)
    assert engine.actions == [("kill", "web")]


async def test_a_failing_call() -> None:
    """It raises what it is told to, and does nothing."""
    engine = FakeEngine()
    web = engine.add("web", running=True)
    engine.failing["stop"] = EngineBusy("4 operations are under way")
    with pytest.raises(EngineBusy):
        await engine.stop(web, timeout_s=1, deadline_s=1)
    assert engine.actions == []


async def test_a_pulled_image_moves_the_tag() -> None:
    """A container keeps its image; the list then shows the image's ID in place of the name."""
    engine, sink = FakeEngine(), Sink()
    engine.add("web", image=PAPER)
    engine.read_events({"type": ["image"]}, sink)
    await engine.pull(PAPER, deadline_s=1)
    [listed] = await engine.containers(deadline_s=DEADLINE_S)
    assert listed["Image"] == listed["ImageID"]
    assert listed["Image"] != engine.image_store.id_of(PAPER)
    assert await sink.until(PAPER, "pull") == ["pull"]


# --- Pulls


async def pull_steps(engine: FakeEngine, image: str) -> list[tuple[float, str]]:
    """When each step of a pull was told, and what."""
    told: list[tuple[float, str]] = []
    start_s = now_s()
    await engine.pull(
        image,
        deadline_s=DEADLINE_S,
        progress=lambda step: told.append((now_s() - start_s, step["status"])),
    )
    return told


async def test_the_progress_of_a_pull() -> None:
    """It comes while the pull lasts, in dockerd's own words."""
    engine = FakeEngine()
    engine.delay_s["pull"] = 5.0
    told = await pull_steps(engine, "new:1")
    assert told[:4] == [
        (1.0, "Pulling from new"),
        (2.0, "Pulling fs layer"),
        (3.0, "Pulling fs layer"),
        (4.0, "Downloading"),
    ]
    assert told[-1] == (5.0, "Status: Downloaded newer image for new:1")
    assert {status for _, status in told} >= {"Download complete", "Extracting", "Pull complete"}


async def test_a_pull_that_brings_nothing_new() -> None:
    """The image stays what it is, if it is there at all."""
    engine = FakeEngine()
    engine.registry["app:1"] = Recipe(is_new=False)
    await engine.pull("app:1", deadline_s=1)
    first = engine.image_store.id_of("app:1")
    told = await pull_steps(engine, "app:1")
    assert told[-1] == (0.0, "Status: Image is up to date for app:1")
    assert engine.image_store.id_of("app:1") == first is not None


async def test_pulls_that_fail() -> None:
    """One that is in no registry at once, one that breaks off after some progress; neither leaves an image."""
    engine = FakeEngine()
    engine.registry["app:1"] = Recipe(pull_error="unexpected EOF")
    with pytest.raises(NotFound, match="manifest unknown"):
        await engine.pull("missing:1", deadline_s=1)
    told: list[Json] = []
    with pytest.raises(EngineRefused, match="unexpected EOF"):
        await engine.pull("app:1", deadline_s=1, progress=told.append)
    assert told[-1]["status"] == "Downloading"
    assert engine.image_store.id_of("app:1") is None
    assert engine.actions == []


async def test_a_pull_ends_with_its_caller() -> None:
    """Unlike other requests: dockerd gives up a pull that nobody listens to."""
    engine = FakeEngine()
    engine.delay_s["pull"] = 5.0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await engine.pull("app:1", deadline_s=30)
    await asyncio.sleep(10)
    assert engine.actions == []
    assert engine.image_store.id_of("app:1") is None


async def test_who_logged_in() -> None:
    """The user's name and never the password."""
    engine = FakeEngine()
    await engine.pull("app:1", auth=RegistryAuth("ann", "secret"), deadline_s=1)
    await engine.pull("app:2", deadline_s=1)
    assert engine.image_store.logins == [("app:1", "ann")]


# --- What containers do by themselves


async def test_a_container_takes_what_its_image_brings() -> None:
    """Environment, labels and command, as dockerd merges them; an entrypoint of one's own drops the command."""
    engine = FakeEngine()
    engine.registry["app:1"] = Recipe(
        config={
            "Env": ["A=image", "B=image"],
            "Labels": {"a": "image", "b": "image"},
            "Cmd": ["serve"],
            "Volumes": {"/data": {}},
        }
    )
    own = {"Env": ["A=own"], "Labels": {"a": "own"}}
    web = engine.add("web", image="app:1", config=own)
    job = engine.add("job", image="app:1", config={"Entrypoint": ["job"]})
    inspected = await engine.inspect_container(web, deadline_s=1)
    assert inspected["Config"]["Env"] == ["A=own", "B=image"]
    assert inspected["Config"]["Labels"] == {"a": "own", "b": "image"}
    assert inspected["Config"]["Cmd"] == ["serve"]
    assert [mount["Destination"] for mount in inspected["Mounts"]] == ["/data"]
    assert (await engine.inspect_container(job, deadline_s=1))["Config"]["Cmd"] is None


async def test_the_health_of_a_container() -> None:
    """It is `starting` until its check says otherwise, and each change is an event; each start begins anew."""
    engine, sink = FakeEngine(), Sink()
    engine.registry["app:1"] = Recipe(health=[(5.0, "unhealthy"), (9.0, "healthy")])
    web = engine.add("web", image="app:1")
    engine.read_events({"type": ["container"], "event": ["health_status"]}, sink)
    await engine.start(web, deadline_s=1)
    seen = []
    for _ in range(3):
        seen.append(engine.boxes[web].health)
        await asyncio.sleep(4.5)
    assert seen == ["starting", "starting", "healthy"]
    assert sink.actions(web) == ["health_status: unhealthy", "health_status: healthy"]
    await engine.restart(web, timeout_s=1, deadline_s=1)
    assert engine.boxes[web].health == "starting"


async def test_the_pauses_of_a_crash_loop_double() -> None:
    """From a tenth of a second on; a client's start forgets them."""
    engine, sink = FakeEngine(), Sink()
    engine.registry["app:1"] = Recipe(dies_after_s=1.0, exit_code=1)
    web = engine.add("web", image="app:1")
    engine.read_events({"type": ["container"], "event": ["start"]}, sink)
    await engine.start(web, deadline_s=1)
    await asyncio.sleep(6)
    first, *_ = instants_ns = [event["timeNano"] for event in sink.events]
    after_s = [round((instant_ns - first) / 1e9, 1) for instant_ns in instants_ns]
    assert after_s == [0.0, 1.1, 2.3, 3.7, 5.5]
    assert engine.boxes[web].restart_count == 4
    await engine.stop(web, timeout_s=1, deadline_s=1)
    await engine.start(web, deadline_s=1)
    assert engine.boxes[web].restart_count == 0


async def test_nothing_is_restarted_while_the_engine_is_down() -> None:
    """Its containers run on, and what ends stays ended."""
    engine = FakeEngine()
    engine.registry["app:1"] = Recipe(dies_after_s=5.0, exit_code=1)
    web = engine.add("web", image="app:1", running=True)
    engine.down()
    await asyncio.sleep(60)
    engine.up()
    assert (engine.boxes[web].status, engine.boxes[web].restart_count) == ("exited", 0)


async def test_a_container_that_cannot_be_started() -> None:
    """It says why, and is as it was."""
    engine = FakeEngine()
    engine.registry["app:1"] = Recipe(refuses_start='exec: "/serve": no such file or directory')
    web = engine.add("web", image="app:1")
    with pytest.raises(EngineRefused, match="no such file"):
        await engine.start(web, deadline_s=1)
    box = engine.boxes[web]
    assert (box.status, box.exit_code, list(engine.ring)) == ("created", 128, [])
    assert "no such file" in box.error


async def test_counters_are_what_a_test_says() -> None:
    """By container, until it says something else."""
    engine = FakeEngine()
    web = engine.add("web", running=True)
    engine.usage[web] = Usage(cpu_ns=5, rx_bytes=7)
    stats = await engine.stats(web, deadline_s=1)
    assert stats["cpu_stats"]["cpu_usage"]["total_usage"] == 5
    assert stats["networks"]["eth0"]["rx_bytes"] == 7


async def test_what_was_there_all_along_is_not_told() -> None:
    """Networks and containers that a test begins with are in no ring, addresses and volumes and all."""
    engine = FakeEngine()
    engine.add_network("front", "10.1.2.0/24")
    engine.add_network("back")
    web = engine.add(
        "web",
        running=True,
        endpoints={"front": {"IPAMConfig": {"IPv4Address": "10.1.2.9"}}, "back": {}},
        host_config={"Binds": ["data:/data"]},
    )
    assert list(engine.ring) == []
    found = engine.boxes[web].endpoints
    assert (found["front"]["IPAddress"], found["back"]["IPAddress"][:4]) == ("10.1.2.9", "172.")
    assert list(engine.volume_store.volumes) == ["data"]
