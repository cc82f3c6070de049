"""Long work on the loop, which sees to everything else in between."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from agent.core.steps import Steps

T = TypeVar("T")


async def unhurried(steps: Steps[T]) -> T:
    """Does the work a step per round of the loop, and returns its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        await asyncio.sleep(0)
