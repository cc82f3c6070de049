"""Long work, done in one go."""

from __future__ import annotations

from typing import TypeVar

from agent.core.steps import Steps

T = TypeVar("T")


def at_once(steps: Steps[T]) -> T:
    """The result of all steps."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
