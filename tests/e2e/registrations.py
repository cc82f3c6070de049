"""Who registered with a hub, in order."""

from __future__ import annotations

import asyncio
from typing import Any

from agent.hub.server import Hub

REGISTERED_S = 120.0
"""A busy machine may take its time; a test that passes never waits this long."""


class Registrations:
    """Keeps the version that each registration which the hub accepted had shown."""

    def __init__(self, hub: Hub) -> None:
        self.versions: list[str] = []
        self._shown = ""
        self._came = asyncio.Event()
        self.forget = hub.listen(self._look)

    async def reach(self, count: int, *, within_s: float = REGISTERED_S) -> str:
        """Waits until so many have registered, and returns the version that the last of these showed."""
        try:
            async with asyncio.timeout(within_s):
                while len(self.versions) < count:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"{self.versions} are not {count} registrations") from None
        return self.versions[count - 1]

    async def next(self, *, within_s: float = REGISTERED_S) -> str:
        """Waits for the next from now on, and returns its version."""
        return await self.reach(len(self.versions) + 1, within_s=within_s)

    def _look(self, entry: Any) -> None:
        match entry.direction, entry.frame.get("type"):
            case "in", "register":
                self._shown = str(entry.frame["version"])
            case "out", "auth_success":
                self.versions.append(self._shown)
                self._came.set()
