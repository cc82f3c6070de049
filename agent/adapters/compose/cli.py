"""Implements the port `Compose` with the program."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.adapters.compose import process
from agent.adapters.compose.docker_config import docker_config
from agent.adapters.compose.engine_access import engine_env, link_tls_files
from agent.adapters.compose.output import Output
from agent.adapters.engine.endpoint import Endpoint
from agent.ports import RegistryAuth
from agent.ports.compose import ComposeError, Project, Watch
from agent.ports.objects import Json

_SETTLED = {"COMPOSE_IGNORE_ORPHANS": "false"}
"""What a project's `.env` could set otherwise, and Compose would then refuse to remove orphans."""


class DockerCompose:
    """Docker Compose v2 as a program.

    Args:
        program: Its path.
        endpoint: The engine to work on. Of an environment, the program sees what leads there, and nothing of ours:
            that cannot get into a project then.
        private_dir: Where credentials are put while it runs; None is the system's directory for such things.
    """

    def __init__(
        self,
        program: str,
        version: str,
        endpoint: Endpoint,
        *,
        private_dir: Path | None = None,
    ) -> None:
        self._program, self._version = program, version
        self._endpoint, self._private_dir = endpoint, private_dir

    @property
    def version(self) -> str:
        return self._version

    async def config(self, project: Project, *, deadline_s: float) -> Json:
        command = ["config", "--format", "json"]
        printed = await self._run(project, command, {}, _ignore, deadline_s)
        try:
            document = json.loads(printed)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ComposeError("Compose printed something else than the project")
        return document

    async def pull(
        self,
        project: Project,
        *,
        auths: Mapping[str, RegistryAuth],
        watch: Watch,
        deadline_s: float,
    ) -> None:
        await self._run(project, ["pull"], auths, watch, deadline_s)

    async def up(
        self,
        project: Project,
        *,
        force_recreate: bool,
        auths: Mapping[str, RegistryAuth],
        watch: Watch,
        deadline_s: float,
    ) -> None:
        flags = ["--force-recreate"] if force_recreate else []
        command = ["up", "--detach", "--no-build", "--remove-orphans", *flags]
        await self._run(project, command, auths, watch, deadline_s)

    async def down(
        self, name: str, *, remove_volumes: bool, watch: Watch, deadline_s: float
    ) -> None:
        flags = ["--volumes"] if remove_volumes else []
        # Without a file, Compose goes by the labels; it must not find a file where we happen to be.
        project = Project(name, directory="")
        await self._run(project, ["down", "--remove-orphans", *flags], {}, watch, deadline_s)

    async def _run(
        self,
        project: Project,
        command: Sequence[str],
        auths: Mapping[str, RegistryAuth],
        watch: Watch,
        deadline_s: float,
    ) -> bytes:
        output = Output(watch)
        feed = b"" if project.document is None else json.dumps(project.document).encode()
        try:
            with docker_config(auths, within=self._private_dir) as config:
                link_tls_files(self._endpoint, config)
                ended = await process.run(
                    [self._program, *_options(project, nowhere=config), *command],
                    env={**engine_env(self._endpoint), **_SETTLED, "DOCKER_CONFIG": str(config)},
                    feed=feed,
                    line=output.take,
                    deadline_s=deadline_s,
                )
        except TimeoutError:
            raise ComposeError(f"Compose did not end within {deadline_s:.0f} s") from None
        except process.OutputTooLarge:
            raise ComposeError("the project is too large") from None
        except OSError as error:
            why = error.strerror or "no reason given"
            raise ComposeError(f"Compose cannot be run: {why}") from error
        if ended.status != 0:
            raise ComposeError(output.reason or f"Compose failed, status {ended.status}")
        return ended.output


def _options(project: Project, *, nowhere: Path) -> list[str]:
    """What stands before the command. `nowhere` is a directory without a compose file."""
    options = ["--progress", "json", "--project-name", project.name]
    options += ["--project-directory", project.directory or str(nowhere)]
    if file := "-" if project.document is not None else project.file:
        options += ["--file", file]
    for profile in project.profiles:
        options += ["--profile", profile]
    return options


def _ignore(_: Json) -> None:
    """For what is too short to be watched."""
