"""Compose files that people keep on the host, as far as they are visible from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Protocol


class ComposeFileRefused(Exception):
    """A file that is not given out. The text says why, in words that the server's users know."""


class ComposeFilesBusy(Exception):
    """The file system does not answer, or too much is asked of it at once."""


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """One that was found. `modified_s` is Unix time."""

    path: str
    project_name: str
    services: tuple[str, ...]
    size_bytes: int
    modified_s: float


@dataclass(frozen=True, slots=True)
class ComposeText:
    """One that was read.

    Attributes:
        env_files: Contents by name, of those beside it: `.env` if there is one, and what the services refer to, "" for
            what is not there.
        skipped: References to what is elsewhere, a link, too large, or no file.
    """

    content: str
    env_files: Mapping[str, str] = field(default_factory=dict)
    skipped: Sequence[str] = ()


class ComposeFiles(Protocol):
    """Nothing that belongs to the system is looked at, and no link to a file is followed."""

    async def search(
        self, roots: Sequence[PurePosixPath], *, max_depth: int, budget_s: float
    ) -> list[ComposeFile]:
        """What was found under `roots` within `budget_s`, by path. What cannot be read is left out.

        Args:
            max_depth: Of directories below a root; 0 for the root alone.

        Raises:
            ComposeFilesBusy: It could not begin.
        """

    async def read(self, path: str, *, deadline_s: float) -> ComposeText:
        """One file, with the env files beside it.

        Raises:
            ComposeFileRefused: It is not given out.
            ComposeFilesBusy: Nothing was heard from the file system within `deadline_s`.
        """
