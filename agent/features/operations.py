"""What the server can do to one container: each action is one call to the engine, done once and answered once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from agent.core.create_config import InvalidConfig, create_request
from agent.core.journal import parse_instant
from agent.core.ledger import Entry, Repeat
from agent.core.own_container import OwnContainer, is_id
from agent.features.claims import Claims
from agent.features.deadlines import ANSWER_S, PROBE_S
from agent.ports import CommandFailed, Engine, EngineError, Handler, Json, NotFound

FAREWELL_S = 1.0
"""Before our own container is restarted: the reply is written and confirmed within milliseconds."""

COMMAND_LABEL = "dockmon-agent.command"
"""On each container that is created here: the ID of the command, by which a later process finds what it did."""

STABLE_S = 3.0
"""A container without a health check counts as healthy after this long without an end: a crash loop is faster."""

LOOK_EVERY_S = 1.0

LOOK_S, CHANGE_S, CREATE_S, PULL_S = 15.0, 30.0, 60.0, 1800.0
"""How long the server waits."""

T = TypeVar("T", bound="Target")

Detach = Callable[[Coroutine[Any, Any, None], str], None]

log = logging.getLogger("agent.operations")


# --- Payloads. The server also sends `action`, and may learn to send more.


class _Payload(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class Target(_Payload):
    """A container by ID (the server cuts it to 12 characters) or name."""

    container_id: str = Field(min_length=12, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")


class Stop(Target):
    timeout: int = Field(10, ge=0, le=3600)


class Restart(Target):
    timeout: int = Field(10, ge=0, le=20)  # the server waits 30 s for the whole


class Rename(Target):
    new_name: str = Field(max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]+$")


class Remove(Target):
    force: bool = False


class Verify(Target):
    max_wait_seconds: float = Field(ge=0, le=3600)


class Pull(_Payload):
    image: str = Field(min_length=1, max_length=500, pattern=r"^\S+$")


class Create(_Payload):
    config: dict[str, Any]


# --- Handlers


def operations(
    engine: Engine, own: OwnContainer | None, *, detach: Detach, claims: Claims | None = None
) -> list[Handler[Any]]:
    """Handlers of the `container_operation` actions, except for logs.

    Args:
        own: The container we run in. It is restarted after the reply; what would end us for good is refused.
        detach: Starts a job that outlives its request.
        claims: Containers that a job works on: changing one is refused. None: there are no such jobs.
    """
    do = _Actions(engine, own, detach, claims or Claims())
    return [
        Handler("inspect", Target, do.inspect, _always(LOOK_S)),
        Handler("get_status", Target, do.get_status, _always(LOOK_S)),
        Handler("verify_running", Verify, do.verify_running, _waits_to_verify),
        _change("start", Target, do.start, do.was_started),
        _change("stop", Stop, do.stop, do.was_stopped, waits_s=_waits_to_stop),
        # It leaves no trace but an instant: one that cannot be proved may still be about to happen.
        _change("restart", Restart, do.restart, do.was_restarted, repeat=Repeat.NEVER),
        _change("kill", Target, do.kill, do.was_killed),
        _change("rename", Rename, do.rename, do.was_renamed, subject=_container_and_name),
        _change("remove", Remove, do.remove, do.was_removed),
        Handler("pull_image", Pull, do.pull_image, _always(PULL_S), Repeat.REDO, _image_lane),
        Handler(
            "create",
            Create,
            do.create,
            _always(CREATE_S),
            Repeat.PROBE,
            _name_lane,
            probe=do.was_created,
        ),
    ]


def _always(seconds: float) -> Callable[[object], float]:
    return lambda _: seconds


_waits_for_change = _always(CHANGE_S)


def _waits_to_stop(payload: Stop) -> float:
    return payload.timeout + 20.0


def _waits_to_verify(payload: Verify) -> float:
    return payload.max_wait_seconds + 10.0


def _container_lane(payload: Target) -> str:
    return payload.container_id[:12]


def _image_lane(payload: Pull) -> str:
    return f"pull {payload.image}"


def _name_lane(payload: Create) -> str:
    name = payload.config.get("name")
    return f"create {name[:255]}" if isinstance(name, str) else "create"


def _container(payload: Target) -> str:
    return payload.container_id


def _container_and_name(payload: Rename) -> str:
    return f"{payload.container_id} {payload.new_name}"  # neither has a space in it


def _change(
    name: str,
    payload: type[T],
    run: Callable[[T, str], Awaitable[Json]],
    probe: Callable[[Entry], Awaitable[Json | None]],
    *,
    waits_s: Callable[[T], float] = _waits_for_change,
    subject: Callable[[T], str] = _container,
    repeat: Repeat = Repeat.PROBE,
) -> Handler[T]:
    """An action that changes one container."""
    return Handler(name, payload, run, waits_s, repeat, _container_lane, subject, probe)


STARTED: Json = {"status": "started"}
STOPPED: Json = {"status": "stopped"}
RESTARTED: Json = {"status": "restarted"}
KILLED: Json = {"status": "killed"}
RENAMED: Json = {"status": "renamed"}
REMOVED: Json = {"removed": True}


class _Actions:
    def __init__(
        self, engine: Engine, own: OwnContainer | None, detach: Detach, claims: Claims
    ) -> None:
        self._engine, self._own, self._detach, self._claims = engine, own, detach, claims

    # Looking

    async def inspect(self, payload: Target, _: str) -> Json:
        return {"container": await self._look(payload.container_id, LOOK_S - ANSWER_S)}

    async def get_status(self, payload: Target, _: str) -> Json:
        state = _state(await self._look(payload.container_id, LOOK_S - ANSWER_S))
        return {"status": state.get("Status") or "unknown"}

    async def verify_running(self, payload: Verify, _: str) -> Json:
        """Waits for what the health check says; without one, until the container has run for a while."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + payload.max_wait_seconds
        running_since: tuple[str, float] | None = None
        while True:
            state = _state(await self._look(payload.container_id, 5.0))
            now_s = loop.time()
            is_running = state.get("Running") and not state.get("Restarting")
            health = (state.get("Health") or {}).get("Status")
            if state.get("Status") in ("exited", "dead"):
                return {"is_healthy": False}
            if is_running and health in ("healthy", "unhealthy"):
                return {"is_healthy": health == "healthy"}
            if is_running and health != "starting":
                started_at = str(state.get("StartedAt"))
                if running_since is None or running_since[0] != started_at:
                    running_since = (started_at, now_s)
                if now_s - running_since[1] >= min(STABLE_S, payload.max_wait_seconds):
                    return {"is_healthy": True}
            if now_s >= until_s:
                return {"is_healthy": False}
            await asyncio.sleep(min(LOOK_EVERY_S, until_s - now_s))

    async def _look(self, container: str, deadline_s: float) -> Json:
        return await self._engine.inspect_container(container, deadline_s=deadline_s)

    # Acting

    async def start(self, payload: Target, _: str) -> Json:
        self._claims.check(payload.container_id)
        await self._engine.start(payload.container_id, deadline_s=CHANGE_S - ANSWER_S)
        return {"container_id": payload.container_id, **STARTED}

    async def stop(self, payload: Stop, _: str) -> Json:
        self._claims.check(payload.container_id)
        await self._spare_ourselves(payload, "docker stop")
        await self._engine.stop(
            payload.container_id,
            timeout_s=payload.timeout,
            deadline_s=_waits_to_stop(payload) - ANSWER_S,
        )
        return STOPPED

    async def restart(self, payload: Restart, _: str) -> Json:
        self._claims.check(payload.container_id)
        if await self._is_own(payload.container_id):
            self._detach(self._restart_ourselves(payload), "restart of our own container")
        else:
            await self._restart(payload)
        return RESTARTED

    async def kill(self, payload: Target, _: str) -> Json:
        self._claims.check(payload.container_id)
        await self._spare_ourselves(payload, "docker kill")
        await self._engine.kill(payload.container_id, deadline_s=CHANGE_S - ANSWER_S)
        return KILLED

    async def rename(self, payload: Rename, _: str) -> Json:
        self._claims.check(payload.container_id)
        self._claims.check(payload.new_name)
        await self._spare_ourselves(payload, "docker rename")
        await self._engine.rename(
            payload.container_id, payload.new_name, deadline_s=CHANGE_S - ANSWER_S
        )
        return RENAMED

    async def remove(self, payload: Remove, _: str) -> Json:
        self._claims.check(payload.container_id)
        await self._spare_ourselves(payload, "docker rm -f")
        await self._engine.remove(
            payload.container_id, force=payload.force, deadline_s=CHANGE_S - ANSWER_S
        )
        return REMOVED

    async def pull_image(self, payload: Pull, _: str) -> Json:
        await self._engine.pull(payload.image, deadline_s=PULL_S - ANSWER_S)
        return {"status": "pulled"}

    async def create(self, payload: Create, command_id: str) -> Json:
        try:
            request = create_request(payload.config)
        except InvalidConfig as invalid:
            raise CommandFailed(f"config: {invalid}") from None
        if request.name is not None:
            self._claims.check(request.name)
        request.body.setdefault("Labels", {})[COMMAND_LABEL] = command_id
        container_id = await self._engine.create(
            request.body, request.name, deadline_s=CREATE_S - ANSWER_S
        )
        return _created(container_id)

    async def _restart(self, payload: Restart) -> None:
        await self._engine.restart(
            payload.container_id, timeout_s=payload.timeout, deadline_s=CHANGE_S - ANSWER_S
        )

    # Ourselves

    async def _restart_ourselves(self, payload: Restart) -> None:
        await asyncio.sleep(FAREWELL_S)  # until the reply is out: nobody is left to send it then
        try:
            await self._restart(payload)
        except EngineError as error:
            log.error("the agent's own container was not restarted: %s", error)

    async def _spare_ourselves(self, payload: Target, command: str) -> None:
        if await self._is_own(payload.container_id):
            raise CommandFailed(
                "this is the container the agent itself runs in: it would end before it could "
                f"answer; use `{command}` on the host"
            )

    async def _is_own(self, reference: str) -> bool:
        if self._own is None:
            return False
        if is_id(reference):
            return self._own.is_meant_by(reference)
        # A name is nothing to go by: it may have been given to another container meanwhile.
        found = await self._look(reference, PROBE_S)
        return self._own.is_meant_by(str(found.get("Id")))

    # What a process before us did

    async def was_started(self, entry: Entry) -> Json | None:
        is_running = await self._is_running(entry.subject)
        return {"container_id": entry.subject, **STARTED} if is_running else None

    async def was_stopped(self, entry: Entry) -> Json | None:
        return STOPPED if await self._is_running(entry.subject) is False else None

    async def was_killed(self, entry: Entry) -> Json | None:
        return KILLED if await self._is_running(entry.subject) is False else None

    async def was_restarted(self, entry: Entry) -> Json | None:
        found = await self._find(entry.subject)
        started_at = parse_instant(str(_state(found or {}).get("StartedAt")))
        began_at = parse_instant(entry.began_at)
        if started_at is None or began_at is None or started_at <= began_at:
            return None
        return RESTARTED

    async def was_renamed(self, entry: Entry) -> Json | None:
        container, _, new_name = entry.subject.partition(" ")
        found = await self._find(container)
        is_done = found is not None and str(found.get("Name")).removeprefix("/") == new_name
        return RENAMED if is_done else None

    async def was_removed(self, entry: Entry) -> Json | None:
        return REMOVED if await self._find(entry.subject) is None else None

    async def was_created(self, entry: Entry) -> Json | None:
        for listed in await self._engine.containers(deadline_s=PROBE_S):
            if (listed.get("Labels") or {}).get(COMMAND_LABEL) == entry.command_id:
                return _created(str(listed.get("Id")))
        return None

    async def _find(self, container: str) -> Json | None:
        try:
            return await self._look(container, PROBE_S)
        except NotFound:
            return None

    async def _is_running(self, container: str) -> bool | None:
        """None: there is no such container."""
        found = await self._find(container)
        return None if found is None else bool(_state(found).get("Running"))


def _state(inspected: Json) -> Json:
    state = inspected.get("State")
    return state if isinstance(state, dict) else {}


def _created(container_id: str) -> Json:
    return {"container_id": container_id[:12]}
