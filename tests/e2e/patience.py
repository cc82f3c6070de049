"""Waiting for what has no event to wait for: the content of a volume, the engine's lists."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

LOOK_EVERY_S = 0.1
DEADLINE_S = 60.0


async def until(
    what: str, holds: Callable[[], Awaitable[bool]], *, within_s: float = DEADLINE_S
) -> None:
    """Looks again and again until `holds` says so.

    Raises:
        AssertionError: It never did in time; the text says `what` should have been.
    """
    try:
        async with asyncio.timeout(within_s):
            while not await holds():
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s: {what}") from None
