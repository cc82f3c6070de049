"""What updates of the agent ask of a real engine: a digest from a registry, a directory of a container."""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import AsyncIterator, Iterator

import docker
import pytest
from docker_registry import PASSWORD, USER, DockerRegistry
from engine import Containers

from agent.adapters.engine import DockerEngine, Endpoint
from agent.console.image_registry import ImageRegistry
from agent.ports import EngineRefused, NotFound, RegistryAuth


@pytest.fixture
async def engine(engine_url: str) -> AsyncIterator[DockerEngine]:
    engine = DockerEngine(Endpoint.parse(engine_url))
    yield engine
    await engine.close()


async def test_a_digest_that_then_is_pulled(
    engine: DockerEngine, image_registry: ImageRegistry
) -> None:
    """What a tag means now, and by that exactly this image; the tag may move on meanwhile."""
    name = f"dmatest/{secrets.token_hex(4)}"
    image_registry.push(name, "1", {"Labels": {"release": "one"}})
    tag = f"{image_registry.address}/{name}:1"
    answer = await engine.distribution(tag, deadline_s=30)
    digest = f"{image_registry.address}/{name}@{answer['Descriptor']['digest']}"
    image_registry.push(name, "1", {"Labels": {"release": "two"}})
    await engine.pull(digest, deadline_s=60)
    image = await engine.inspect_image(digest, deadline_s=15)
    assert image["Config"]["Labels"] == {"release": "one"}
    await engine.remove_image(digest, force=False, deadline_s=15)
    with pytest.raises(NotFound):
        await engine.inspect_image(digest, deadline_s=15)


async def test_a_registry_with_users(
    engine: DockerEngine,
    docker_registry: DockerRegistry,
    docker_client: docker.APIClient,
    busybox_image: str,
) -> None:
    """The question carries the credentials; without them it is refused, and nobody waits."""
    name = f"dmatest/{secrets.token_hex(4)}:1"
    image = docker_registry.push(docker_client, name, ["true"], base=busybox_image)
    auth = RegistryAuth(USER, PASSWORD, image.partition("/")[0])
    answer = await engine.distribution(image, deadline_s=30, auth=auth)
    assert answer["Descriptor"]["digest"].startswith("sha256:")
    with pytest.raises(EngineRefused) as refused:
        await engine.distribution(image, deadline_s=30)
    assert PASSWORD not in str(refused.value)


async def test_what_no_registry_has(engine: DockerEngine, image_registry: ImageRegistry) -> None:
    """An error like every other, with the engine's own words."""
    with pytest.raises(EngineRefused):
        await engine.distribution(f"{image_registry.address}/dmatest/none:1", deadline_s=30)


async def test_a_directory_of_a_container(engine: DockerEngine, containers: Containers) -> None:
    """It need not run. What the reader returns is the result, what it raises is raised."""
    box = containers.create("never-started")

    def names(chunks: Iterator[bytes]) -> list[str]:
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            return archive.getnames()

    def refuse(chunks: Iterator[bytes]) -> None:
        next(chunks)
        raise ValueError("not this one")

    found = await engine.archive(box.id, "/bin", names, deadline_s=30)
    assert found[0] == "bin"
    assert "bin/busybox" in found
    with pytest.raises(ValueError, match="not this one"):
        await engine.archive(box.id, "/bin", refuse, deadline_s=30)
    with pytest.raises(NotFound):
        await engine.archive(box.id, "/nowhere", names, deadline_s=30)
    assert await engine.archive(box.id, "/bin", names, deadline_s=30) == found
