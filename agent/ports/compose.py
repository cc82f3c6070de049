"""Docker Compose, and the directory of the projects that are deployed with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.ports.engine import RegistryAuth
from agent.ports.objects import Json


class ComposeError(Exception):
    """Compose could not do what was asked. The text is its own, short and for users; it may quote the project."""


@dataclass(frozen=True, slots=True)
class Project:
    """What Compose is to work on.

    Attributes:
        directory: What relative paths are relative to, and what containers are labelled with as the project's place:
            for a project that was located, a path of the host.
        document: The project, resolved. None: it is read from `file`.
        file: The path of the compose file, when there is no `document`.
        profiles: Those to be active besides services that have none.
    """

    name: str
    directory: str
    file: str = ""
    document: Json | None = field(default=None, repr=False)
    profiles: Sequence[str] = ()


Watch = Callable[[Json], None]
"""Given each object of Compose's progress, on the loop's thread."""


class Compose(Protocol):
    """The real `docker compose`, on the engine that the agent looks after.

    It sees nothing of the agent's environment. Each call raises `ComposeError`; one that nobody awaits any more is
    ended. `auths` are by the registry's name as Docker's configuration has it.
    """

    @property
    def version(self) -> str: ...

    async def config(self, project: Project, *, deadline_s: float) -> Json:
        """The project with everything in it resolved; the engine is not asked."""

    async def pull(
        self,
        project: Project,
        *,
        auths: Mapping[str, RegistryAuth],
        watch: Watch,
        deadline_s: float,
    ) -> None: ...

    async def up(
        self,
        project: Project,
        *,
        force_recreate: bool,
        auths: Mapping[str, RegistryAuth],
        watch: Watch,
        deadline_s: float,
    ) -> None:
        """Creates and starts what is missing or differs, and removes containers of services that are no more."""

    async def down(
        self, name: str, *, remove_volumes: bool, watch: Watch, deadline_s: float
    ) -> None:
        """Removes what is labelled as the project's, whatever its files say by now: containers, networks, volumes."""


class Stacks(Protocol):
    """The directory with one directory for each project. Calls raise `StoreError` when it cannot be used.

    Only one call at a time may be about the same project. `project` and the names of files are checked before.
    """

    @property
    def directory(self) -> str:
        """Its path as we see it."""

    def place(self, project: str) -> str:
        """Where the project's files are, or would be."""

    async def stage(self, project: str, files: Mapping[str, str | None]) -> str:
        """Writes `files` beside the stored ones, which are not touched, and returns the directory they are in.

        It shows the project as it would be: with what else is stored there, and without the files that are None.
        """

    async def commit(self, project: str, files: Mapping[str, str | None]) -> None:
        """Puts what was staged in the place of what is stored. If that fails, what was stored still is."""

    async def discard(self, project: str) -> None:
        """Forgets what was staged, if anything was."""

    async def remove(self, project: str) -> None:
        """Deletes the project's directory and everything in it, never what links in it lead to."""
