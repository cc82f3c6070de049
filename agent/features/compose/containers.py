"""The containers of a project, as the engine has them. Calls raise `EngineError`."""

from __future__ import annotations

import asyncio

from agent.core.compose.services import Replica, is_of, replicas
from agent.ports import Engine, Json, NotFound

LIST_S, INSPECT_S = 15.0, 10.0
INSPECTS_AT_ONCE = 4


async def has_containers(engine: Engine, project: str) -> bool:
    return bool(await _listed(engine, project))


async def containers_of(engine: Engine, project: str) -> list[Replica]:
    """One for each that is there; one that goes meanwhile is left out."""
    slots = asyncio.Semaphore(INSPECTS_AT_ONCE)

    async def inspect(container: str) -> Json | None:
        async with slots:
            try:
                return await engine.inspect_container(container, deadline_s=INSPECT_S)
            except NotFound:
                return None

    looks = [inspect(container) for container in await _listed(engine, project)]
    try:
        async with asyncio.TaskGroup() as tasks:
            begun = [tasks.create_task(look) for look in looks]
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    inspected = [task.result() for task in begun]
    return replicas(container for container in inspected if container is not None)


async def _listed(engine: Engine, project: str) -> list[str]:
    listed = await engine.containers(deadline_s=LIST_S)
    return [str(each["Id"]) for each in listed if is_of(project, each.get("Labels"))]
