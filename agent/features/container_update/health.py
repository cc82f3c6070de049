"""Waits until a container has shown that it is well."""

from __future__ import annotations

import asyncio

from agent.core.health_rule import HealthWatch, Healthy, Unhealthy
from agent.features.container_update.looking import find, state_of
from agent.ports import Engine, EngineError, Json

RETRY_S = 1.0


async def why_not_well(engine: Engine, container: str, *, within_s: float) -> str:
    """Returns "" once it is well, or why it is not. An engine that does not answer for a while is waited for."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + within_s
    watch: HealthWatch | None = None
    while True:
        try:
            inspected = await find(engine, container)
        except EngineError as error:
            if loop.time() >= until_s:
                return str(error)
            await asyncio.sleep(RETRY_S)
            continue
        if inspected is None:
            return "it is gone"
        if watch is None:
            watch = HealthWatch(timeout_s=within_s, restart_policy=_restart_policy(inspected))
        restarts = int(inspected.get("RestartCount") or 0)
        match watch.look(state_of(inspected), restarts, loop.time()):
            case Healthy():
                return ""
            case Unhealthy(reason):
                return reason
        await asyncio.sleep(watch.next_look_s)


def _restart_policy(inspected: Json) -> str:
    policy = (inspected.get("HostConfig") or {}).get("RestartPolicy") or {}
    return str(policy.get("Name") or "")
