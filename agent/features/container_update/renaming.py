"""Gives a container another name, whatever it is doing."""

from __future__ import annotations

from agent.ports import Conflict, Engine, EngineRefused

RENAME_S = 15.0
STOP_S, STOP_MARGIN_S = 10, 20.0
"""The container's own time to stop, and what the engine gets beyond it."""


async def rename(
    engine: Engine, container: str, new_name: str, *, stop_timeout_s: int = STOP_S
) -> None:
    """Renames it; it may be stopped for that, if it keeps crashing.

    Between two runs of a crash loop a container has no network, and without one the engine does not rename what it
    calls running.
    """
    try:
        await engine.rename(container, new_name, deadline_s=RENAME_S)
    except Conflict:
        raise
    except EngineRefused:
        stop_by_s = stop_timeout_s + STOP_MARGIN_S
        await engine.stop(container, timeout_s=stop_timeout_s, deadline_s=stop_by_s)
        await engine.rename(container, new_name, deadline_s=RENAME_S)
