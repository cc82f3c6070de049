"""Somebody at the prompt of the reference server."""

from __future__ import annotations

import io

from agent.hub.cli import Prompt
from agent.hub.server import Hub


class Desk:
    """Somebody who types at the prompt and reads what comes."""

    def __init__(self, hub: Hub) -> None:
        self._out = io.StringIO()
        self.prompt = Prompt(hub, self._out)

    def read(self) -> list[str]:
        """The lines since the last look."""
        lines = self._out.getvalue().splitlines()
        self._out.seek(0)
        self._out.truncate()
        return lines

    async def type(self, line: str) -> list[str]:
        await self.prompt.obey(line)
        return self.read()
