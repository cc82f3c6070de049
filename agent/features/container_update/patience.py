"""What the engine did not do is tried again: it may be restarting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from agent.ports import EngineError, EngineRefused

AGAIN_S = 3.0
"""Between one try and the next."""

SILENCE_S = 150.0
"""An engine that does not answer, or has too much to do. dockerd restarts within seconds, but not on every host."""

REFUSAL_S = 30.0
"""While dockerd ends, which takes it 15 s, it stops all containers and says no for reasons that pass with it."""

T = TypeVar("T")

log = logging.getLogger("agent.container_update")


async def patiently(work: Callable[[], Awaitable[T]], what: str) -> T:
    """Does `work`, which may begin anywhere and be repeated, until it is done.

    Raises:
        EngineError: What the engine still says after all that time.
    """
    loop = asyncio.get_running_loop()
    first_failed_s: float | None = None
    while True:
        try:
            return await work()
        except EngineError as error:
            first_failed_s = first_failed_s or loop.time()
            lasts_s = REFUSAL_S if isinstance(error, EngineRefused) else SILENCE_S
            if loop.time() - first_failed_s >= lasts_s:
                raise
            log.info("%s is tried again: %s", what, error)
        await asyncio.sleep(AGAIN_S)
