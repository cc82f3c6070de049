"""A Docker Compose that reads the stacks in memory and works on the engine in memory."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from fakes.engine import FakeEngine
from fakes.stacks import MemoryStacks

from agent.core.compose.services import PROJECT_LABEL, SERVICE_LABEL
from agent.ports import EngineError, Json, RegistryAuth
from agent.ports.compose import ComposeError, Project, Watch

CALL_S = 60.0


class FakeCompose:
    """Knows of a service its image, its restart policy, its binds and its profiles; of a project nothing else.

    Attributes:
        calls: What was asked for, in order: the method and the project.
        asked: The last argument of each kind: "project", "auths", "force_recreate", "remove_volumes".
        delay_s: How long a method takes, by its name.
        failing: What a method says instead of doing its work, by its name; `up` fails half-way.
        ended: Methods that were given up by whoever awaited them.
    """

    version = "2.40.3"

    def __init__(self, engine: FakeEngine, stacks: MemoryStacks) -> None:
        self._engine, self._stacks = engine, stacks
        self.calls: list[tuple[str, str]] = []
        self.asked: dict[str, Any] = {}
        self.delay_s: dict[str, float] = {}
        self.failing: dict[str, str] = {}
        self.ended: list[str] = []

    async def config(self, project: Project, *, deadline_s: float) -> Json:
        await self._takes("config", project.name, deadline_s)
        self._fail("config")
        return self._resolved(project)

    async def pull(
        self,
        project: Project,
        *,
        auths: Mapping[str, RegistryAuth],
        watch: Watch,
        deadline_s: float,
    ) -> None:
        self.asked |= {"project": project, "auths": auths}
        services = self._services(project)
        for name, _ in services:
            watch({"id": name, "text": "Pulling"})
            layer = {"id": "0a" * 6, "parent_id": name, "text": "Downloading"}
            watch({**layer, "status": "[==>   ]", "current": 4_000_000, "total": 8_000_000})
        await self._takes("pull", project.name, deadline_s)
        self._fail("pull")
        for name, _ in services:
            watch({"id": name, "text": "Pulled"})

    async def up(
        self,
        project: Project,
        *,
        force_recreate: bool,
        auths: Mapping[str, RegistryAuth],
        watch: Watch,
        deadline_s: float,
    ) -> None:
        self.asked |= {"project": project, "auths": auths, "force_recreate": force_recreate}
        watch({"id": f"Network {project.name}_default", "status": "Creating"})
        watch({"id": f"Network {project.name}_default", "status": "Created"})
        try:
            for name, service in self._services(project):
                await self._bring_up(project.name, name, service, watch)
        except EngineError as error:
            raise ComposeError(str(error)) from None
        await self._takes("up", project.name, deadline_s)
        self._fail("up")

    async def down(
        self, name: str, *, remove_volumes: bool, watch: Watch, deadline_s: float
    ) -> None:
        self.asked |= {"remove_volumes": remove_volumes}
        await self._takes("down", name, deadline_s)
        self._fail("down")
        for box in list(self._engine.boxes.values()):
            if (box.config.get("Labels") or {}).get(PROJECT_LABEL) == name:
                watch({"id": f"Container {box.name}", "status": "Removing"})
                await self._engine.remove(box.id, force=True, deadline_s=CALL_S)
                watch({"id": f"Container {box.name}", "status": "Removed"})

    async def _bring_up(self, project: str, name: str, service: Json, watch: Watch) -> None:
        container = f"{project}-{name}-1"
        there = [box for box in self._engine.boxes.values() if box.name == container]
        for box in there:
            await self._engine.remove(box.id, force=True, deadline_s=CALL_S)
        watch({"id": f"Container {container}", "status": "Recreate" if there else "Creating"})
        config = {
            "Image": service["image"],
            "Labels": {PROJECT_LABEL: project, SERVICE_LABEL: name},
            "HostConfig": {"RestartPolicy": {"Name": service.get("restart", "no")}},
        }
        await self._engine.create(config, container, deadline_s=CALL_S)
        watch({"id": f"Container {container}", "status": "Recreated" if there else "Created"})
        watch({"id": f"Container {container}", "status": "Starting"})
        await self._engine.start(container, deadline_s=CALL_S)
        watch({"id": f"Container {container}", "status": "Started"})

    def _services(self, project: Project) -> Iterator[tuple[str, Json]]:
        document = project.document or self._resolved(project)
        yield from document["services"].items()

    def _resolved(self, project: Project) -> Json:
        try:
            document = yaml.safe_load(self._stacks.read(project.file))
        except yaml.YAMLError:
            raise ComposeError(f"failed to parse {project.file}: yaml: line 1") from None
        active = {
            name: service
            for name, service in document["services"].items()
            if not service.get("profiles") or set(service["profiles"]) & set(project.profiles)
        }
        for service in active.values():
            service["volumes"] = [
                _bind(volume, project.directory) for volume in service.get("volumes", ())
            ]
        return {"name": project.name, "services": active}

    async def _takes(self, method: str, project: str, deadline_s: float) -> None:
        self.calls.append((method, project))
        try:
            async with asyncio.timeout(deadline_s):
                await asyncio.sleep(self.delay_s.get(method, 0.0))
        except TimeoutError:
            raise ComposeError(f"Compose did not end within {deadline_s:g} s") from None
        except asyncio.CancelledError:
            self.ended.append(method)
            raise

    def _fail(self, method: str) -> None:
        if method in self.failing:
            raise ComposeError(self.failing[method])


def _bind(volume: str, directory: str) -> Json:
    source, _, target = volume.partition(":")
    return {"type": "bind", "source": posixpath.join(directory, source), "target": target}
