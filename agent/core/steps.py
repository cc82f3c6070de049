"""Long work that pauses, so that whoever does it can see to something else in between."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Steps: TypeAlias = Generator[None, None, T]
"""Yields at each pause, and returns the result."""


class Pace:
    """Tells when to pause: each time that `step` units of work are done."""

    def __init__(self, step: int) -> None:
        self._step, self._done = step, 0

    def is_up(self, work: int) -> bool:
        """Adds `work` units to what is done; true: pause now."""
        self._done += work
        if self._done < self._step:
            return False
        self._done = 0
        return True
