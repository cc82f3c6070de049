"""The stacks directory in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from agent.ports import StoreError

STACKS_DIR = "/data/stacks"


class MemoryStacks:
    """Keeps the port's promises, without a disk.

    Attributes:
        stored: The files of each project, by name.
        staged: What is staged beside them.
        failing: What a method raises instead of doing its work, by its name.
        hangs: The disk does not answer.
    """

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, str]] = {}
        self.staged: dict[str, dict[str, str]] = {}
        self.failing: dict[str, StoreError] = {}
        self.hangs = False

    @property
    def directory(self) -> str:
        return STACKS_DIR

    def place(self, project: str) -> str:
        return f"{STACKS_DIR}/{project}"

    def read(self, path: str) -> str:
        """What somebody else finds at `path`."""
        directory, _, name = path.removeprefix(f"{STACKS_DIR}/").partition("/")
        if directory.startswith("."):
            return self.staged[directory[1:].removesuffix(".new")][name]
        return self.stored[directory][name]

    async def stage(self, project: str, files: Mapping[str, str | None]) -> str:
        await self._check("stage")
        merged = {**self.stored.get(project, {}), **files}
        self.staged[project] = {name: text for name, text in merged.items() if text is not None}
        return f"{STACKS_DIR}/.{project}.new"

    async def commit(self, project: str, files: Mapping[str, str | None]) -> None:
        await self._check("commit")
        self.stored[project] = self.staged.pop(project)

    async def discard(self, project: str) -> None:
        await self._check("discard")
        self.staged.pop(project, None)

    async def remove(self, project: str) -> None:
        await self._check("remove")
        self.stored.pop(project, None)

    async def _check(self, method: str) -> None:
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        if method in self.failing:
            raise self.failing[method]
