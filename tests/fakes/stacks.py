"""The stacks directory in memory."""

from __future__ import annotations

from collections.abc import Mapping

from agent.ports import StoreError

STACKS_DIR = "/data/stacks"


class MemoryStacks:
    """Keeps the port's promises, without a disk.

    Attributes:
        stored: The files of each project, by name.
        staged: What is staged beside them.
        failing: What a method raises instead of doing its work, by its name.
    """

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, str]] = {}
        self.staged: dict[str, dict[str, str]] = {}
        self.failing: dict[str, StoreError] = {}

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
        self._check("stage")
        merged = {**self.stored.get(project, {}), **files}
        self.staged[project] = {name: text for name, text in merged.items() if text is not None}
        return f"{STACKS_DIR}/.{project}.new"

    async def commit(self, project: str, files: Mapping[str, str | None]) -> None:
        self._check("commit")
        self.stored[project] = self.staged.pop(project)

    async def discard(self, project: str) -> None:
        self.staged.pop(project, None)

    async def remove(self, project: str) -> None:
        self._check("remove")
        self.stored.pop(project, None)

    def _check(self, method: str) -> None:
        if method in self.failing:
            raise self.failing[method]
