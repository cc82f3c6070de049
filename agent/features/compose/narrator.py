"""Tells whoever watches how a deployment goes, as often as makes sense."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from agent.core.compose.progress import Progress
from agent.features.telling import Teller
from agent.ports import Json


class Narrator:
    """One deployment's `deploy_progress`."""

    def __init__(self, progress: Progress, teller: Teller) -> None:
        self._progress, self._teller = progress, teller

    def enters(self, stage: str, message: str) -> None:
        """A step begins."""
        self._progress.enter(stage, message)
        self._tell()

    def hears(self, line: Json) -> None:
        """Compose says something."""
        self._progress.feed(line)
        self._tell()

    def sees(self, statuses: Mapping[str, str]) -> None:
        """How the services are."""
        self._progress.sees(statuses)
        self._tell()

    def _tell(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._progress.due(now_s):
            self._teller.tell("deploy_progress", self._progress.payload(now_s))
