"""Finds out whether we run in a container of the engine that we look after, and in which."""

from __future__ import annotations

import logging
from pathlib import Path

from agent.core.own_container import OwnContainer, candidates
from agent.ports import Engine, EngineError, NotFound

INSPECT_S = 5.0

log = logging.getLogger("agent.engine")


async def find_own_container(
    engine: Engine, *, hostname: str, proc: Path = Path("/proc/self")
) -> OwnContainer | None:
    """Our container, or None: we run natively, or in a container of another engine.

    An engine that does not answer cannot contradict: the likeliest candidate is then taken for what we are, so that
    nobody gets us to stop ourselves.
    """
    found = candidates(
        mountinfo=_read(proc / "mountinfo"), cgroup=_read(proc / "cgroup"), hostname=hostname
    )
    for candidate in found:
        try:
            inspected = await engine.inspect_container(candidate, deadline_s=INSPECT_S)
        except NotFound:
            continue
        except EngineError as error:
            log.info("which container this is cannot be verified: %s", error)
            return OwnContainer(found[0])
        container_id = inspected.get("Id")
        # A host may be called what a container is called.
        if isinstance(container_id, str) and container_id.startswith(candidate):
            return OwnContainer(container_id)
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
