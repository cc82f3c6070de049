"""An engine one of whose calls is the last thing that its caller does."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from agent.ports import Engine


class DoomedEngine:
    """Passes calls on until the one that ends it: from then on nobody gets an answer.

    Args:
        last: The number of that call, from 1.
        of: The method whose calls are counted; "" for all.
        is_carried_out: Whether the engine still gets it. Its answer is lost in either case.

    Attributes:
        over: Set with that call.
        call: Its method.
    """

    def __init__(
        self, engine: Engine, *, last: int = 1, of: str = "", is_carried_out: bool
    ) -> None:
        self._engine, self._left, self._of = engine, last, of
        self._is_carried_out = is_carried_out
        self.over = asyncio.Event()
        self.call = ""

    def as_port(self) -> Engine:
        return cast("Engine", self)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._engine, name)

        async def call(*args: Any, **options: Any) -> Any:
            if self._of in ("", name):
                self._left -= 1
            if self._left > 0:
                return await method(*args, **options)
            if not self.over.is_set():
                self.call = name
                if self._is_carried_out:
                    await method(*args, **options)
                self.over.set()
            return await asyncio.get_running_loop().create_future()

        return call
