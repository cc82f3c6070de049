"""A queue in which each sender has one place, and only its newest message."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Slots(Generic[T]):
    """What waits to be sent, by key. A newer message takes the place of the older one, so nobody loses their turn.

    Args:
        capacity: How many keys may wait. One more, and the one that has waited longest is dropped.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: OrderedDict[str, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, key: str, message: T) -> None:
        self._waiting[key] = message
        if len(self._waiting) > self._capacity:
            self._waiting.popitem(last=False)

    def take(self, limit: int) -> list[T]:
        """Those that have waited longest, at most `limit`."""
        return [self._waiting.popitem(last=False)[1] for _ in range(min(limit, len(self)))]

    def clear(self) -> None:
        self._waiting.clear()
