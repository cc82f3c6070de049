"""Each action on a container: one call to the engine, one reply, and a trace that a later process can find."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from fakes.engine import PAPER, FakeEngine
from features.asking import COMMAND_ID, Asking
from pydantic import ValidationError

from agent.core.ledger import Repeat
from agent.core.own_container import OwnContainer
from agent.features.claims import Claims
from agent.features.operations import COMMAND_LABEL, operations
from agent.ports import (
    CommandFailed,
    Conflict,
    EngineTimeout,
    EngineUnreachable,
    Json,
    NotFound,
)


def now_s() -> float:
    return asyncio.get_running_loop().time()


class World(Asking):
    """An engine with the containers `web` (running) and `job`, and the agent's own one where it has one."""

    def __init__(self, *, contained: bool = False) -> None:
        self.engine = FakeEngine()
        self.web = self.engine.add("web", running=True)
        self.job = self.engine.add("job")
        self.agent = self.engine.add("dockmon-agent", running=True)
        self.jobs: list[Coroutine[Any, Any, None]] = []
        self.claims = Claims()
        own = OwnContainer(self.agent) if contained else None
        super().__init__(
            operations(
                self.engine,
                own,
                detach=lambda job, _: self.jobs.append(job),
                claims=self.claims,
            )
        )


# --- What is done and answered


@pytest.mark.parametrize(
    ("action", "payload", "reply", "done"),
    [
        ("stop", {"timeout": 10}, {"status": "stopped"}, [("stop", "web")]),
        ("stop", {}, {"status": "stopped"}, [("stop", "web")]),
        ("restart", {}, {"status": "restarted"}, [("restart", "web")]),
        ("kill", {}, {"status": "killed"}, [("kill", "web")]),
        ("rename", {"new_name": "site"}, {"status": "renamed"}, [("rename", "web")]),
        ("remove", {"force": True}, {"removed": True}, [("remove", "web")]),
        ("get_status", {}, {"status": "running"}, []),
    ],
)
async def test_an_action(
    action: str, payload: Json, reply: Json, done: list[tuple[str, str]]
) -> None:
    """The reply has the keys the server reads, and the engine was asked once."""
    world = World()
    assert await world.ask(action, container_id=world.web[:12], **payload) == reply
    assert world.engine.actions == done


async def test_start() -> None:
    """The reply says which container."""
    world = World()
    reply = await world.ask("start", container_id=world.job[:12])
    assert reply == {"container_id": world.job[:12], "status": "started"}
    assert world.engine.actions == [("start", "job")]


async def test_inspect() -> None:
    """The engine's own object, unchanged."""
    world = World()
    reply = await world.ask("inspect", container_id=world.web[:12])
    assert reply == {"container": await world.engine.inspect_container("web", deadline_s=1)}


async def test_pull_image() -> None:
    """By reference; other keys are ignored."""
    world = World()
    assert await world.ask("pull_image", image="new:1", deployment_id="7") == {"status": "pulled"}
    assert world.engine.actions == [("pull", "new:1")]


async def test_create() -> None:
    """The container carries the command's ID beside its own labels, and does not run."""
    world = World()
    reply = await world.ask(
        "create", config={"image": PAPER, "name": "made", "labels": {"dockmon.deployment_id": "7"}}
    )
    made = next(box for box in world.engine.boxes.values() if box.name == "made")
    assert reply == {"container_id": made.id[:12]}
    assert made.config["Labels"] == {"dockmon.deployment_id": "7", COMMAND_LABEL: COMMAND_ID}
    assert not made.running


async def test_a_config_that_cannot_be_carried_out() -> None:
    """Nothing is created, and the error names every argument that is not known."""
    world = World()
    with pytest.raises(CommandFailed, match=r"^config: not supported: alpha, beta$"):
        await world.ask("create", config={"image": PAPER, "beta": 1, "alpha": 2})
    assert world.engine.calls["create"] == 0


# --- What goes wrong


@pytest.mark.parametrize(
    ("action", "payload", "error"),
    [
        ("start", {"container_id": "f" * 12}, NotFound),
        ("kill", {"container_id": "job-container"}, NotFound),
        ("rename", {"new_name": "job"}, Conflict),
        ("remove", {"force": False}, Conflict),
    ],
)
async def test_what_the_engine_refuses_is_passed_on(
    action: str, payload: Json, error: type[Exception]
) -> None:
    """The error is the engine's own."""
    world = World()
    with pytest.raises(error):
        await world.ask(action, **{"container_id": world.web[:12], **payload})
    assert world.engine.actions == []


@pytest.mark.parametrize("action", ["start", "stop", "restart", "kill", "rename", "remove"])
async def test_a_container_that_a_job_works_on(action: str) -> None:
    """It is left alone, and the reason says when to try again; another one can be changed meanwhile."""
    world = World()
    world.claims.hold("job-1", [world.web, "web"], "web is being updated")
    payload = {"new_name": "site"} if action == "rename" else {}
    with pytest.raises(CommandFailed, match=r"^web is being updated$"):
        await world.ask(action, container_id=world.web[:12], **payload)
    assert world.engine.actions == []
    await world.ask("start", container_id=world.job[:12])


async def test_a_name_that_a_job_needs() -> None:
    """Between the old container and the new one it is nobody's, and nobody else gets it."""
    world = World()
    world.claims.hold("job-1", ["site"], "site is being updated")
    with pytest.raises(CommandFailed, match=r"^site is being updated$"):
        await world.ask("rename", container_id=world.job[:12], new_name="site")
    with pytest.raises(CommandFailed, match=r"^site is being updated$"):
        await world.ask("create", config={"image": PAPER, "name": "site"})
    assert world.engine.actions == []


@pytest.mark.parametrize(
    ("action", "payload", "where"),
    [
        ("start", {}, "container_id"),
        ("start", {"container_id": "short"}, "container_id"),
        ("start", {"container_id": "f" * 65}, "container_id"),
        ("start", {"container_id": "../../../etc/x"}, "container_id"),
        ("start", {"container_id": 123456789012}, "container_id"),
        ("start", {"container_id": None}, "container_id"),
        ("stop", {"container_id": "f" * 12, "timeout": -1}, "timeout"),
        ("stop", {"container_id": "f" * 12, "timeout": 3601}, "timeout"),
        ("stop", {"container_id": "f" * 12, "timeout": "10"}, "timeout"),
        ("stop", {"container_id": "f" * 12, "timeout": True}, "timeout"),
        ("restart", {"container_id": "f" * 12, "timeout": 21}, "timeout"),
        ("rename", {"container_id": "f" * 12}, "new_name"),
        ("rename", {"container_id": "f" * 12, "new_name": "a b"}, "new_name"),
        ("rename", {"container_id": "f" * 12, "new_name": "/web"}, "new_name"),
        ("remove", {"container_id": "f" * 12, "force": "yes"}, "force"),
        ("verify_running", {"container_id": "f" * 12}, "max_wait_seconds"),
        ("pull_image", {"image": ""}, "image"),
        ("pull_image", {"image": "a b"}, "image"),
        ("create", {"config": None}, "config"),
        ("create", {}, "config"),
    ],
)
async def test_an_odd_payload(action: str, payload: Json, where: str) -> None:
    """One error, which names the key; the engine is not asked."""
    world = World()
    with pytest.raises(ValidationError) as invalid:
        await world.ask(action, **payload)
    assert [error["loc"] for error in invalid.value.errors()] == [(where,)]
    assert not world.engine.calls


@pytest.mark.parametrize(
    ("action", "payload", "method", "server_waits_s"),
    [
        ("start", {}, "start", 30),
        ("stop", {"timeout": 10}, "stop", 30),
        ("stop", {"timeout": 60}, "stop", 80),
        ("restart", {}, "restart", 30),
        ("kill", {}, "kill", 30),
        ("rename", {"new_name": "site"}, "rename", 30),
        ("remove", {}, "remove", 30),
        ("inspect", {}, "inspect_container", 15),
        ("get_status", {}, "inspect_container", 15),
        ("pull_image", {"image": "new:1"}, "pull", 1800),
        ("create", {"config": {"image": PAPER}}, "create", 60),
    ],
)
async def test_an_engine_that_does_not_answer(
    action: str, payload: Json, method: str, server_waits_s: float
) -> None:
    """It is given up 3 s before the server gives up, so that the reason arrives."""
    world = World()
    world.engine.delay_s[method] = 10_000
    handler = world.handlers[action]
    payload = {"container_id": world.web[:12], **payload}
    assert handler.server_waits_s(handler.payload.model_validate(payload)) == server_waits_s
    with pytest.raises(EngineTimeout):
        await world.ask(action, **payload)
    assert now_s() == server_waits_s - 3


# --- Whether it runs


async def test_verify_a_container_that_keeps_running() -> None:
    """Without a health check, three seconds without an end count as healthy."""
    world = World()
    reply = await world.ask("verify_running", container_id=world.web[:12], max_wait_seconds=60)
    assert reply == {"is_healthy": True}
    assert now_s() == 3.0


async def test_verify_a_crash_loop() -> None:
    """One that is always started anew never gets there, though it runs each time somebody looks."""
    world = World()

    async def crash() -> None:
        while True:
            await asyncio.sleep(1.5)
            world.engine.dies_unseen(world.web)
            world.engine.starts_unseen(world.web)

    async with asyncio.TaskGroup() as tasks:
        crashing = tasks.create_task(crash())
        reply = await world.ask("verify_running", container_id=world.web[:12], max_wait_seconds=20)
        crashing.cancel()
    assert reply == {"is_healthy": False}
    assert now_s() == 20.0


async def test_verify_a_container_that_has_ended() -> None:
    """It will not get better by waiting."""
    world = World()
    world.engine.dies(world.web)
    reply = await world.ask("verify_running", container_id=world.web[:12], max_wait_seconds=60)
    assert (reply, now_s()) == ({"is_healthy": False}, 0.0)


@pytest.mark.parametrize(
    ("health", "is_healthy", "after_s"),
    [("healthy", True, 5.0), ("unhealthy", False, 5.0), ("starting", False, 8.0)],
)
async def test_verify_by_the_health_check(health: str, is_healthy: bool, after_s: float) -> None:
    """Where there is one, it decides, and it is waited for."""
    world = World()
    world.engine.boxes[world.web].health = "starting"

    def decide() -> None:
        world.engine.boxes[world.web].health = health

    asyncio.get_running_loop().call_later(4.5, decide)
    reply = await world.ask("verify_running", container_id=world.web[:12], max_wait_seconds=8)
    assert (reply, now_s()) == ({"is_healthy": is_healthy}, after_s)


async def test_verifying_takes_as_long_as_it_may() -> None:
    """The server adds ten seconds to the wait that it asked for."""
    handler = World().handlers["verify_running"]
    payload = handler.payload.model_validate({"container_id": "f" * 12, "max_wait_seconds": 60})
    assert handler.server_waits_s(payload) == 70.0


async def test_one_image_is_pulled_once_at_a_time() -> None:
    """Different images do not wait for each other."""
    handler = World().handlers["pull_image"]
    payloads = [handler.payload.model_validate({"image": image}) for image in ("a:1", "a:1", "b:1")]
    first, second, other = map(handler.lane, payloads)
    assert first == second != other


# --- Ourselves


@pytest.mark.parametrize(
    ("action", "payload", "command"),
    [
        ("stop", {}, "docker stop"),
        ("kill", {}, "docker kill"),
        ("remove", {"force": True}, "docker rm -f"),
        ("rename", {"new_name": "other"}, "docker rename"),
    ],
)
@pytest.mark.parametrize("by_name", [False, True])
async def test_what_would_end_ourselves_is_refused(
    action: str, payload: Json, command: str, by_name: bool
) -> None:
    """By whatever reference: the error says what to do on the host instead."""
    world = World(contained=True)
    reference = "dockmon-agent" if by_name else world.agent[:12]
    with pytest.raises(CommandFailed, match=f"use `{command}` on the host"):
        await world.ask(action, container_id=reference, **payload)
    assert world.engine.actions == []


async def test_our_own_restart_is_answered_first() -> None:
    """The reply is out before the engine is asked; a second is ample for it."""
    world = World(contained=True)
    reply = await world.ask("restart", container_id=world.agent[:12])
    assert (reply, world.engine.actions) == ({"status": "restarted"}, [])
    [job] = world.jobs
    await job
    assert (now_s(), world.engine.actions) == (1.0, [("restart", "dockmon-agent")])


async def test_our_own_restart_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for it any more, so it is logged."""
    world = World(contained=True)
    await world.ask("restart", container_id=world.agent[:12])
    world.engine.down()
    [job] = world.jobs
    await job
    assert "the agent's own container was not restarted" in caplog.text


async def test_others_are_not_ourselves() -> None:
    """Neither by ID nor by name; and natively nobody is."""
    world = World(contained=True)
    await world.engine.rename("web", "web-container", deadline_s=1)
    await world.ask("stop", container_id="web-container")
    await World().ask("stop", container_id="dockmon-agent")
    assert world.engine.actions[-1] == ("stop", "web-container")


# --- Order and repetition


async def test_changes_to_one_container_are_on_one_lane() -> None:
    """Whether the ID is short or long."""
    world = World()
    for action, more in (("start", {}), ("stop", {}), ("rename", {"new_name": "xy"})):
        handler = world.handlers[action]
        for reference in (world.web, world.web[:12]):
            payload = handler.payload.model_validate({"container_id": reference, **more})
            assert handler.lane(payload) == world.web[:12]


async def test_what_only_looks_is_not_recorded() -> None:
    """Reads have no repeat class: they are simply done again."""
    repeats = {name: handler.repeat for name, handler in World().handlers.items()}
    assert {name for name, repeat in repeats.items() if repeat is None} == {
        "inspect",
        "get_status",
        "verify_running",
    }
    assert repeats["restart"] is Repeat.NEVER
    assert repeats["pull_image"] is Repeat.REDO


Meddle = Callable[[World], Awaitable[None]]


async def nothing(world: World) -> None:
    await asyncio.sleep(1)


def doing(action: str, **payload: Any) -> Meddle:
    async def meddle(world: World) -> None:
        await asyncio.sleep(1)
        await world.ask(action, **{"container_id": world.web[:12], **payload})

    return meddle


@pytest.mark.parametrize(
    ("action", "payload", "meanwhile", "outcome"),
    [
        ("stop", {}, doing("stop"), {"status": "stopped"}),
        ("stop", {}, nothing, None),
        ("stop", {}, doing("remove", force=True), None),
        ("kill", {}, doing("kill"), {"status": "killed"}),
        ("kill", {}, nothing, None),
        ("rename", {"new_name": "site"}, doing("rename", new_name="site"), {"status": "renamed"}),
        ("rename", {"new_name": "site"}, doing("rename", new_name="other"), None),
        ("rename", {"new_name": "site"}, nothing, None),
        ("remove", {}, doing("remove", force=True), {"removed": True}),
        ("remove", {}, nothing, None),
        ("restart", {}, doing("restart"), {"status": "restarted"}),
        ("restart", {}, nothing, None),
        ("restart", {}, doing("remove", force=True), None),
    ],
)
async def test_what_a_dead_process_had_begun(
    action: str, payload: Json, meanwhile: Meddle, outcome: Json | None
) -> None:
    """The container tells whether it was done: the reply as it would have been, or None."""
    world = World()
    await asyncio.sleep(5)
    entry = world.entry(action, container_id=world.web[:12], **payload)
    await meanwhile(world)
    assert await world.probe(entry) == outcome


async def test_a_start_that_a_dead_process_had_begun() -> None:
    """Done if the container runs."""
    world = World()
    entry = world.entry("start", container_id=world.job[:12])
    assert await world.probe(entry) is None
    world.engine.starts_unseen(world.job)
    assert await world.probe(entry) == {"container_id": world.job[:12], "status": "started"}


async def test_a_creation_that_a_dead_process_had_begun() -> None:
    """Found by its label, wherever the process died."""
    world = World()
    entry = world.entry("create", config={"image": PAPER, "name": "made"})
    assert await world.probe(entry) is None
    reply = await world.ask("create", config={"image": PAPER, "name": "made"})
    assert await world.probe(entry) == reply


async def test_the_ledger_gets_no_secrets() -> None:
    """Of a creation it is told the name alone."""
    entry = World().entry("create", config={"name": "made", "environment": {"TOKEN": "hunter2"}})
    assert entry.subject == "create made"
    assert World().entry("create", config={"name": {"odd": "hunter2"}}).subject == "create"


async def test_probing_while_the_engine_is_down() -> None:
    """That the engine cannot be asked says nothing about the command."""
    world = World()
    entry = world.entry("remove", container_id=world.web[:12])
    world.engine.down()
    with pytest.raises(EngineUnreachable):
        await world.probe(entry)
