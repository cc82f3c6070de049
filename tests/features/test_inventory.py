"""The list of containers: whole, true, and cheap to ask for again."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from fakes.engine import PAPER, FakeEngine
from features.asking import Asking

from agent.core.container_shapes import size_bytes
from agent.core.journal import FILTERS
from agent.core.replies import MAX_REPLY_BYTES
from agent.features.inspections import Inspections
from agent.features.inventory import (
    EXTRAS_S,
    INSPECTS_AT_ONCE,
    RECHECK_S,
    REST_S,
    SETTLE_S,
    Inventory,
)
from agent.ports import (
    CommandFailed,
    EngineBusy,
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    Json,
    NotFound,
)


def now_s() -> float:
    return asyncio.get_running_loop().time()


class World(Asking):
    """An engine whose events reach the inventory, as they do in the agent."""

    def __init__(
        self, engine: FakeEngine | None = None, *, max_bytes: int = MAX_REPLY_BYTES
    ) -> None:
        self.engine = engine or FakeEngine()
        self.inspections = Inspections(self.engine)
        self.inventory = Inventory(self.engine, self.inspections, max_bytes=max_bytes)
        super().__init__([self.inventory.handler()])
        self.engine.read_events({}, self)

    def event(self, event: Json) -> None:
        self.inspections.notice(event)
        self.inventory.invalidate(event)

    def engine_came_back(self) -> None:
        self.inspections.events_were_missed()
        self.inventory.engine_came_back()

    def ended(self, reason: str) -> None: ...

    async def list(self) -> dict[str, Json]:
        """The entries by the container's name."""
        entries = await self.ask("list_containers")
        return {item["Names"][0].removeprefix("/"): item for item in entries}

    async def asked(self) -> Counter[str]:
        """What the engine is asked for one more list."""
        self.engine.calls.clear()
        await self.list()
        return self.engine.calls.copy()


# --- What is listed


async def test_the_whole_list() -> None:
    """Every container, running or not, with what only inspections know."""
    world = World()
    web, _ = world.engine.add("web", running=True), world.engine.add("job")
    listed = await world.list()
    assert listed.keys() == {"web", "job"}
    entry = listed["web"]
    assert entry["Id"] == web
    assert entry["Image"] == PAPER
    assert entry["HostConfig"] == {
        "NetworkMode": "default",
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
    }
    assert entry["StartedAt"] == "2026-01-01T00:00:00.000000Z"
    assert entry["Env"] == {"TZ": "UTC"}
    image = world.engine.image_store.images[entry["ImageID"]]
    assert list(entry["RepoDigests"]) == image.repo_digests
    assert "StartedAt" not in listed["job"]


async def test_an_engine_without_containers() -> None:
    """An empty list, and nothing else asked."""
    world = World()
    assert await world.ask("list_containers") == []
    assert world.engine.calls == Counter({"containers": 1, "read_events": 1})


async def test_a_payload_is_ignored() -> None:
    """The command comes without one; a newer server may send something."""
    assert await World().ask("list_containers", newer=True) == []


async def test_an_image_that_was_pulled_anew() -> None:
    """The container still has the name it was made from, and the digest that it runs."""
    world = World()
    world.engine.add("web", running=True)
    before = (await world.list())["web"]
    await world.engine.pull(PAPER, deadline_s=1)
    after = (await world.list())["web"]
    assert after["Image"] == PAPER
    assert after["RepoDigests"] == before["RepoDigests"]


async def test_an_image_removed_by_force() -> None:
    """Its digests are gone, the container is not, and nobody asks for them every time."""
    world = World()
    web = world.engine.add("web", running=True)
    world.engine.image_store.lose(world.engine.boxes[web].image_id)
    assert list((await world.list())["web"]["RepoDigests"]) == []
    assert await world.asked() == Counter({"containers": 1})


# --- What is remembered


async def test_asked_again_it_costs_one_call() -> None:
    """Nothing happened, so nothing is inspected."""
    world = World()
    for number in range(10):
        world.engine.add(f"web{number}", running=True)
    first = await world.list()
    assert world.engine.calls["inspect_container"] == 10
    assert world.engine.calls["inspect_image"] == 1
    assert await world.asked() == Counter({"containers": 1})
    assert await world.list() == first


@pytest.mark.parametrize("action", ["restart", "stop", "kill", "rename", "update"])
async def test_an_event_makes_one_container_be_inspected_again(action: str) -> None:
    """Whatever changes an inspection; the other containers are remembered."""
    world = World()
    web = world.engine.add("web", running=True)
    world.engine.add("other", running=True)
    await world.list()
    await asyncio.sleep(1)
    match action:
        case "restart":
            await world.engine.restart(web, timeout_s=1, deadline_s=1)
        case "stop":
            await world.engine.stop(web, timeout_s=1, deadline_s=1)
        case "kill":
            await world.engine.kill(web, deadline_s=1)
        case "rename":
            await world.engine.rename(web, "site", deadline_s=1)
        case "update":
            policy = {"Name": "always", "MaximumRetryCount": 0}
            world.engine.boxes[web].host_config["RestartPolicy"] = policy
            world.engine.emit("update", world.engine.boxes[web])
    assert await world.asked() == Counter({"containers": 1, "inspect_container": 1})
    listed = await world.list()
    assert len(listed) == 2
    if action == "restart":
        assert listed["web"]["StartedAt"] == "2026-01-01T00:00:01.000000Z"
    if action == "update":
        assert listed["web"]["HostConfig"]["RestartPolicy"]["Name"] == "always"


@pytest.mark.parametrize("action", ["exec_start: /health", "health_status: healthy", "top"])
async def test_what_changes_nothing_costs_nothing(action: str) -> None:
    """Health probes make three events each."""
    world = World()
    web = world.engine.add("web", running=True)
    await world.list()
    world.engine.emit(action, world.engine.boxes[web])
    assert await world.asked() == Counter({"containers": 1})


@pytest.mark.parametrize("action", ["pull", "tag", "untag", "delete", "load", "import"])
async def test_an_image_event_makes_images_be_inspected_again(action: str) -> None:
    """Their digests may have changed; the containers' details have not."""
    world = World()
    web = world.engine.add("web", running=True)
    await world.list()
    world.engine.emit(action, world.engine.boxes[web], type="image")
    assert await world.asked() == Counter({"containers": 1, "inspect_image": 1})


@pytest.mark.parametrize(
    "event", [{}, {"Type": "container"}, {"Type": "volume", "Action": "create"}]
)
async def test_events_of_no_interest(event: Json) -> None:
    """Nor can an odd one do harm."""
    world = World()
    world.engine.add("web")
    await world.list()
    world.event(event)
    assert await world.asked() == Counter({"containers": 1})


async def test_an_engine_that_came_back() -> None:
    """Events may have been missed: everything is asked for once more."""
    world = World()
    world.engine.add("web", running=True)
    await world.list()
    world.engine_came_back()
    expected = {"containers": 1, "inspect_container": 1, "inspect_image": 1}
    assert await world.asked() == Counter(expected)


async def test_containers_that_are_gone_are_forgotten() -> None:
    """What is remembered is no more than what is listed, even if no event told."""
    world = World()
    for number in range(100):
        web = world.engine.add(f"web{number}")
        await world.list()
        world.engine.goes_unseen(web)
    await world.list()
    assert world.inspections.known == {}
    assert world.inventory._digests.known == {}


class SlowToAnswer(FakeEngine):
    """The answer to an inspection is made up at once and takes a second to arrive."""

    async def inspect_container(self, container: str, *, deadline_s: float) -> Json:
        answer = await super().inspect_container(container, deadline_s=deadline_s)
        await asyncio.sleep(1)
        return answer


async def test_an_answer_that_was_overtaken_is_not_remembered() -> None:
    """The inspection saw the container before its restart and arrived after the event: it serves once, and no more."""
    engine = SlowToAnswer()
    world = World(engine)
    web = engine.add("web", running=True)
    async with asyncio.TaskGroup() as tasks:
        listing = tasks.create_task(world.ask("list_containers"))
        await asyncio.sleep(0.5)
        await engine.restart(web, timeout_s=1, deadline_s=1)
    assert listing.result()[0]["StartedAt"] == "2026-01-01T00:00:00.000000Z"
    [entry] = await world.ask("list_containers")
    assert entry["StartedAt"] == "2026-01-01T00:00:00.500000Z"
    assert engine.calls["inspect_container"] == 2
    await world.ask("list_containers")
    assert engine.calls["inspect_container"] == 2


async def test_two_who_ask_at_once() -> None:
    """The second waits for the first and finds what it learnt."""
    world = World()
    for number in range(20):
        world.engine.add(f"web{number}")
    world.engine.delay_s["inspect_container"] = 0.1
    first, second = await asyncio.gather(world.list(), world.list())
    assert first == second
    assert world.engine.calls["inspect_container"] == 20


async def test_inspections_are_few_at_a_time() -> None:
    """Forty of them a tenth of a second each take one second: four at a time."""
    world = World()
    for number in range(40):
        world.engine.add(f"web{number}")
    world.engine.delay_s["inspect_container"] = 0.1
    assert len(await world.list()) == 40
    assert now_s() == pytest.approx(40 * 0.1 / INSPECTS_AT_ONCE)


# --- What is answered without asking


class Followed(World):
    """The engine's events have been followed for a while."""

    async def settle(self) -> None:
        """Lets pass what a list may be behind an event."""
        await asyncio.sleep(SETTLE_S)

    async def begin(self, *names: str) -> list[str]:
        """Containers that run, listed and remembered. Returns their IDs."""
        ids = [self.engine.add(name, running=True) for name in names]
        self.engine_came_back()
        await self.settle()
        await self.list()
        return ids


async def test_a_quiet_engine_is_not_asked() -> None:
    """What was answered last is what there is."""
    world = Followed()
    await world.begin("web", "db")
    first = await world.list()
    await asyncio.sleep(RECHECK_S / 2)
    assert await world.asked() == Counter()
    assert await world.list() == first


async def test_a_quiet_engine_is_asked_now_and_then() -> None:
    """What no event told of is seen after a minute."""
    world = Followed()
    [web] = await world.begin("web")
    world.engine.goes_unseen(web)
    assert (await world.list()).keys() == {"web"}
    await asyncio.sleep(RECHECK_S)
    assert await world.list() == {}


@pytest.mark.parametrize(
    ("type_", "action"),
    [
        *(("container", each) for each in ("create", "start", "restart", "die", "destroy")),
        *(("container", each) for each in ("pause", "unpause", "stop", "kill", "rename")),
        *(("container", each) for each in ("update", "health_status: unhealthy")),
        *(("image", each) for each in ("tag", "untag", "delete")),
        *(("network", each) for each in ("connect", "disconnect")),
    ],
)
async def test_an_event_makes_the_engine_be_asked(type_: str, action: str) -> None:
    """Until its list is sure to know of it, and once more then. It is an event that the agent reads."""
    world = Followed()
    [web] = await world.begin("web")
    assert action.partition(":")[0] in FILTERS["event"]
    assert type_ in FILTERS["type"]
    world.engine.emit(action, world.engine.boxes[web], type=type_)
    await asyncio.sleep(0.1)
    for _ in range(2):
        assert (await world.asked())["containers"] == 1
        await asyncio.sleep(SETTLE_S * 0.4)
    await world.settle()
    assert (await world.asked())["containers"] == 1
    assert await world.asked() == Counter()


@pytest.mark.parametrize("action", ["exec_start: /health", "top", "resize"])
async def test_an_event_that_changes_no_list(action: str) -> None:
    """It costs nothing."""
    world = Followed()
    [web] = await world.begin("web")
    world.engine.emit(action, world.engine.boxes[web])
    assert await world.asked() == Counter()


class BehindItsEvents(FakeEngine):
    """As engines are: the event of an end is out before the list knows."""

    def __init__(self) -> None:
        super().__init__()
        self.behind_s = 0.0
        self._old: list[Json] = []

    async def containers(self, *, deadline_s: float) -> list[Json]:
        if now_s() < self.behind_s:
            return self._old
        self._old = await super().containers(deadline_s=deadline_s)
        return self._old


async def test_a_list_that_is_behind_an_event() -> None:
    """It is not taken for the truth longer than it takes the engine."""
    engine = BehindItsEvents()
    world = Followed(engine)
    [web] = await world.begin("web")
    engine.behind_s = now_s() + 0.5
    engine.dies(web)
    assert (await world.list())["web"]["State"] == "running"
    await asyncio.sleep(1)
    assert (await world.list())["web"]["State"] == "exited"


async def test_an_event_while_the_engine_lists() -> None:
    """That list may or may not know of it, and is not remembered."""
    world = Followed()
    [web] = await world.begin("web")
    await asyncio.sleep(RECHECK_S)
    world.engine.delay_s["containers"] = 1.0
    asyncio.get_running_loop().call_later(0.5, world.engine.dies, web)
    await world.list()
    await world.settle()
    assert (await world.asked())["containers"] == 1
    assert (await world.list())["web"]["State"] == "exited"


async def test_an_engine_that_is_not_followed() -> None:
    """Without its events nothing is sure: it is asked each time, and its absence is told at once."""
    world = Followed()
    await world.begin("web")
    world.inventory.engine_went_away()
    assert await world.asked() == Counter({"containers": 1})
    assert await world.asked() == Counter({"containers": 1})
    world.engine.down()
    with pytest.raises(EngineError):
        await world.list()


async def test_a_list_without_all_details_is_not_remembered() -> None:
    """They are asked for again the next time."""
    world = Followed()
    await world.begin("web")
    await asyncio.sleep(RECHECK_S)
    world.engine_came_back()
    await world.settle()
    world.engine.failing["inspect_container"] = EngineBusy("4 reads")
    await world.list()
    world.engine.failing.clear()
    assert await world.asked() == Counter({"containers": 1, "inspect_container": 1})
    assert await world.asked() == Counter()


# --- What goes wrong


@pytest.mark.parametrize("error", [EngineUnreachable, EngineTimeout, EngineBusy])
async def test_an_engine_that_cannot_list(error: type[EngineError]) -> None:
    """An error that names the engine: never an empty list, which would mean that all containers are gone."""
    world = World()
    world.engine.add("web")
    world.engine.failing["containers"] = error("nobody listens at /run/docker.sock")
    with pytest.raises(
        EngineError, match=r"^the Docker engine did not list its containers: nobody"
    ):
        await world.list()


async def test_a_container_that_vanishes_in_between() -> None:
    """It is left out: it is gone."""
    world = World()
    web = world.engine.add("web")
    world.engine.add("job")
    world.engine.delay_s["inspect_container"] = 1.0
    asyncio.get_running_loop().call_later(0.5, world.engine.goes_unseen, web)
    assert (await world.list()).keys() == {"job"}


@pytest.mark.parametrize(
    "error", [EngineBusy("4 reads"), EngineUnreachable("x"), EngineRefused("x", 500)]
)
@pytest.mark.parametrize("method", ["inspect_container", "inspect_image"])
async def test_details_that_cannot_be_had(method: str, error: Exception) -> None:
    """The entries stay without them, and have them as soon as they can be had."""
    world = World()
    world.engine.add("web", running=True)
    whole = {**(await world.list())["web"]}
    world.engine_came_back()
    world.engine.failing[method] = error
    part = (await world.list())["web"]
    missing = whole.keys() - part.keys()
    details = {"inspect_container": {"StartedAt", "Env"}, "inspect_image": {"RepoDigests"}}
    assert missing == details[method]
    world.engine.failing.clear()
    assert (await world.list())["web"] == whole


async def test_a_container_whose_inspection_hangs() -> None:
    """It delays the list once in a while, not each time, and an event makes it be tried at once."""
    world = World()
    web = world.engine.add("web", running=True)
    world.engine.delay_s["inspect_container"] = 10_000
    assert (await world.list()).keys() == {"web"}
    assert now_s() == 3.0
    assert await world.asked() == Counter({"containers": 1})
    await asyncio.sleep(REST_S)
    assert (await world.asked())["inspect_container"] == 1
    world.engine.delay_s.clear()
    world.engine.emit("update", world.engine.boxes[web])
    assert "Env" in (await world.list())["web"]


async def test_a_container_that_hung_and_went() -> None:
    """Nothing is remembered of it either."""
    world = World()
    web = world.engine.add("web")
    world.engine.delay_s["inspect_container"] = 10_000
    await world.list()
    world.engine.goes_unseen(web)
    assert await world.list() == {}
    assert world.inspections.lacks(web, now_s())


async def test_an_engine_that_is_slow_with_everything() -> None:
    """Details are given up in time for the list to arrive, complete; what was learnt is kept for the next."""
    world = World()
    for number in range(100):
        world.engine.add(f"web{number}")
    world.engine.delay_s["inspect_container"] = 2.0
    first = await world.list()
    assert now_s() <= EXTRAS_S
    assert len(first) == 100
    inspected = sum("Env" in item for item in first.values())
    assert 0 < inspected < 100
    second = await world.list()
    assert sum("Env" in item for item in second.values()) > inspected


async def test_a_list_that_is_cut_short() -> None:
    """Whoever asked gives up, and nothing is left behind: the next list is right."""
    world = World()
    world.engine.add("web")
    world.engine.delay_s["inspect_container"] = 2.0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await world.list()
    world.engine.delay_s.clear()
    assert "Env" in (await world.list())["web"]


async def test_the_engine_is_gone_between_list_and_details() -> None:
    """What was listed is answered."""
    world = World()
    world.engine.add("web")
    world.engine.delay_s["inspect_container"] = 1.0
    asyncio.get_running_loop().call_later(0.5, world.engine.down)
    assert (await world.list()).keys() == {"web"}


async def test_an_inspection_that_finds_nobody_is_no_image_problem() -> None:
    """`NotFound` for an image is an image without digests, never a container less."""
    world = World()
    world.engine.add("web")
    world.engine.failing["inspect_image"] = NotFound("No such image", 404)
    assert (await world.list()).keys() == {"web"}


# --- Size


def crowd(world: World, env_bytes: int, **labels: Any) -> None:
    for number in range(10):
        box = world.engine.boxes[world.engine.add(f"web{number}", running=True)]
        box.config["Env"] = ["BIG=" + "x" * (env_bytes + number)]
        box.config["Labels"] = labels


async def test_a_list_that_is_too_large() -> None:
    """The largest environments are left out, as few as possible; no container is."""
    world = World(max_bytes=20_000)
    crowd(world, 2_000)
    listed = await world.list()
    assert len(listed) == 10
    kept = sorted(name for name, item in listed.items() if "Env" in item)
    assert kept == [f"web{number}" for number in range(len(kept))]
    assert 0 < len(kept) < 10
    assert size_bytes(list(listed.values())) <= 20_000
    assert await world.list() == listed


async def test_a_list_that_is_too_large_without_environments() -> None:
    """An error that says how large: a part of the containers would pass for all of them."""
    world = World(max_bytes=20_000)
    crowd(world, 10, noise="x" * 3_000)
    with pytest.raises(
        CommandFailed, match=r"^the list of 10 containers has \d+ bytes without their"
    ):
        await world.list()


async def test_a_list_that_grows() -> None:
    """Containers that come later count, though the list was small before."""
    world = World(max_bytes=20_000)
    world.engine.add("first")
    await world.list()
    crowd(world, 2_000)
    assert size_bytes(list((await world.list()).values())) <= 20_000
