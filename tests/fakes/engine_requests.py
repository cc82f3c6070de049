"""How the engine in memory is asked: what takes time, what fails, and when it is not there at all."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from agent.ports import EngineError, EngineTimeout, EngineUnreachable

T = TypeVar("T")


class EngineRequests:
    """A change that was asked for is carried out even if nobody waits for it any longer, unless the engine goes away.

    Attributes:
        calls: How often each method of the port was called.
        delay_s: How long a method takes, by its name; longer than the deadline makes it an `EngineTimeout`.
        failing: What a method raises instead of doing its work, by its name.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.delay_s: dict[str, float] = {}
        self.failing: dict[str, Exception] = {}
        self.is_up = True
        self._asked: set[asyncio.Future[Any]] = set()

    def _break_off(self) -> None:
        """The engine goes away: what is under way fails, and is not carried out."""
        self.is_up = False
        for asked in self._asked:
            if not asked.done():  # its caller was cancelled meanwhile
                asked.set_exception(
                    EngineUnreachable("the connection to the engine of tests broke")
                )
        self._asked.clear()

    async def _do(
        self,
        name: str,
        deadline_s: float,
        work: Callable[[], T],
        *,
        ends_with_caller: bool = False,
    ) -> T:
        """One request: `work` is done after the delay, whether or not somebody still waits for it."""
        self.calls[name] += 1
        if not self.is_up:
            raise EngineUnreachable("the engine of tests does not answer")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._asked.add(answer)

        def serve() -> None:
            if answer not in self._asked or (ends_with_caller and answer.cancelled()):
                return  # the engine went down with the request, or nobody wants it any more
            self._asked.discard(answer)
            try:
                if name in self.failing:
                    raise self.failing[name]
                done = copy.deepcopy(work())  # as if it had been sent
            except EngineError as error:
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(done)

        loop.call_later(self.delay_s.get(name, 0.0), serve)
        try:
            async with asyncio.timeout(deadline_s):
                return await answer
        except TimeoutError:
            raise EngineTimeout(f"the engine did not answer within {deadline_s:g} s") from None
