"""What a project must not touch and what it cannot see: our own container and our own file system."""

from __future__ import annotations

from agent.core.compose.document import HostPaths, mounts_of
from agent.core.compose.services import PROJECT_LABEL
from agent.core.own_container import OwnContainer
from agent.ports import Engine, Json
from agent.ports.compose import Stacks

LOOK_S = 10.0


class Surroundings:
    """Where the agent itself runs, as far as deployments have to know. Calls raise `EngineError`."""

    def __init__(
        self,
        engine: Engine,
        stacks: Stacks,
        own: OwnContainer | None,
        host_stacks_dir: str | None,
    ) -> None:
        self._engine, self._stacks = engine, stacks
        self._own, self._host_stacks_dir = own, host_stacks_dir

    async def is_own_project(self, project: str) -> bool:
        """Whether our container is one of the project's."""
        inspected = await self._ourselves()
        if inspected is None:
            return False
        labels = (inspected.get("Config") or {}).get("Labels") or {}
        return labels.get(PROJECT_LABEL) == project

    async def host_paths(self) -> HostPaths:
        inspected = await self._ourselves()
        mounts = None if inspected is None else mounts_of(inspected)
        return HostPaths(self._stacks.directory, self._host_stacks_dir, mounts)

    async def _ourselves(self) -> Json | None:
        if self._own is None:
            return None
        return await self._engine.inspect_container(self._own.id, deadline_s=LOOK_S)
