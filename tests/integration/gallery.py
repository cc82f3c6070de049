"""A container to update on a real engine, and a registry that has its next image."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from typing import Any

import docker
from engine import IDLE, LABEL, NAME_PREFIX, Container, Containers
from fakes.doomed_engine import DoomedEngine
from features.update_world import UpdateWorld

from agent.adapters.engine import DockerEngine
from agent.console.image_registry import ImageRegistry
from agent.ports import Json

STARTED = {"status": "update_started"}

END_S = 60.0


class Gallery:
    """A container to update, the image it has, and the one it gets."""

    def __init__(
        self, client: docker.APIClient, engine: DockerEngine, registry: ImageRegistry
    ) -> None:
        self.world = UpdateWorld()
        self.client, self.engine = client, engine
        self.containers = Containers(client)
        self._registry = registry
        self._repository = f"dmatest/{secrets.token_hex(4)}"
        self.old_image = self.push("1", IDLE)
        client.pull(self.old_image)
        self.networks: list[str] = []

    def push(self, tag: str, command: Sequence[str], **config: Any) -> str:
        labels = {LABEL: "1", "release": tag}
        image: Json = {"Cmd": list(command), "Labels": labels, **config}
        return self._registry.push(self._repository, tag, image)

    def run(self, name: str = "web", **options: Any) -> Container:
        return self.containers.run(name, **{"image": self.old_image, **options})

    def inspect(self, container: str) -> Json:
        found: Json = self.client.inspect_container(container)
        return found

    def network(self, subnet: str) -> str:
        name = f"{NAME_PREFIX}{secrets.token_hex(4)}"
        pool = docker.types.IPAMPool(subnet=subnet)
        ipam = docker.types.IPAMConfig(pool_configs=[pool])
        self.client.create_network(name, ipam=ipam, labels={LABEL: "1"})
        self.networks.append(name)
        return name

    async def update(self, old: Container, image: str, **more: Any) -> None:
        """Asks for it and waits until it has ended."""
        async with self.world.process(self.engine) as process:
            assert await process.update(old.id, image, **more) == STARTED
            await process.settled()

    async def killed(self, old: Container, image: str, *, call: str, is_carried_out: bool) -> None:
        """Asks for it, and the agent dies at its first such call to the engine."""
        doomed = DoomedEngine(self.engine, of=call, is_carried_out=is_carried_out)
        async with self.world.process(doomed.as_port()) as process:
            asked = asyncio.get_running_loop().create_task(process.update(old.id, image))
            async with asyncio.timeout(END_S):
                await doomed.over.wait()
            asked.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asked

    async def recovered(self) -> None:
        """The next agent, until it has nothing left to do."""
        async with self.world.process(self.engine) as process:
            await process.recover()

    def is_untouched(self, old: Container, *, status: str = "running") -> bool:
        found = self.inspect(old.name)
        return (found["Id"], found["State"]["Status"]) == (old.id, status)

    def left_over(self, *names: str) -> list[str]:
        """Containers beside those of these names, that have one of them in their own."""
        listed = [each["Names"][0].removeprefix("/") for each in self.client.containers(all=True)]
        return [name for name in listed if name.startswith(names) and name not in names]

    def close(self) -> None:
        volumes = [
            mount["Name"]
            for each in self.client.containers(all=True)
            if each["Labels"].get(LABEL) and self._repository in each["Image"]
            for mount in each["Mounts"]
            if mount["Type"] == "volume"
        ]
        self.containers.remove_all()
        for volume in volumes:  # one that was carried over is nobody's any more
            with contextlib.suppress(docker.errors.NotFound):
                self.client.remove_volume(volume)
        for network in self.networks:
            self.client.remove_network(network)
        for image in self.client.images():
            for tag in image["RepoTags"] or ():
                if f"/{self._repository}:" in tag:
                    self.client.remove_image(tag, force=True)
