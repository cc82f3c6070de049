"""What was learnt by asking, until it is forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from typing import Generic, TypeVar

T = TypeVar("T")


class Memory(Generic[T]):
    """Answers by key. Bounded by what is retained, or by whoever forgets what there is no more."""

    def __init__(self) -> None:
        self.known: dict[str, T] = {}
        self._asking: dict[str, object] = {}
        self._resting: dict[str, float] = {}

    def lacks(self, key: str, now_s: float) -> bool:
        """Whether to ask for `key` at `now_s` (loop time)."""
        return key not in self.known and self._resting.get(key, now_s) <= now_s

    async def learn(self, key: str, question: Awaitable[T]) -> T:
        """Awaits the answer, and keeps it unless `key` was forgotten meanwhile: it may have been given before that."""
        ticket = self._asking[key] = object()
        try:
            answer = await question
            if self._asking.get(key) is ticket:
                self.known[key] = answer
                self._resting.pop(key, None)
            return answer
        finally:
            if self._asking.get(key) is ticket:
                del self._asking[key]

    def rest(self, key: str, until_s: float) -> None:
        """Does not ask again before `until_s` (loop time), unless `key` is forgotten."""
        self._resting[key] = until_s

    def forget(self, key: str) -> None:
        for memory in (self.known, self._asking, self._resting):
            memory.pop(key, None)

    def forget_all(self) -> None:
        for memory in (self.known, self._asking, self._resting):
            memory.clear()

    def retain(self, keys: Collection[str]) -> None:
        for key in self.known.keys() - keys:
            del self.known[key]
        for key in self._resting.keys() - keys:
            del self._resting[key]
