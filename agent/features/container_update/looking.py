"""What the engine says of a container, as an update asks for it."""

from __future__ import annotations

from agent.core.container_update import UPDATE_LABEL
from agent.ports import Engine, Json, NotFound

LOOK_S = 15.0


async def find(engine: Engine, container: str) -> Json | None:
    """Its inspection, or None if there is no such container."""
    try:
        return await engine.inspect_container(container, deadline_s=LOOK_S)
    except NotFound:
        return None


async def made_by(engine: Engine, command_id: str) -> dict[str, str]:
    """The containers that carry this update's label: ID by name. Everything else was made by somebody else."""
    return {
        name.removeprefix("/"): str(listed["Id"])
        for listed in await engine.containers(deadline_s=LOOK_S)
        if (listed.get("Labels") or {}).get(UPDATE_LABEL) == command_id
        for name in (listed.get("Names") or [str(listed["Id"])])[:1]
    }


def name_of(inspected: Json) -> str:
    return str(inspected.get("Name")).removeprefix("/")


def state_of(inspected: Json) -> Json:
    state = inspected.get("State")
    return state if isinstance(state, dict) else {}


def is_running(inspected: Json) -> bool:
    """Or would be, but for a pause between two restarts."""
    return bool(state_of(inspected).get("Running"))
