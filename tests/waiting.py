"""Waiting for what has to come, and not for ever: where it does not come a test fails, instead of hanging."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE_S = 4000.0
"""Of the loop's time: longer than anything in a test takes, and a moment where time is frozen."""


async def until(condition: Callable[[], object], *, every_s: float = 0.1) -> None:
    """Returns once `condition` holds, which is looked at every so often.

    Raises:
        TimeoutError: It never did.
    """
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(every_s)
