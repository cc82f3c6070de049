"""Signs the release in an image: a new image from it, with one layer that holds the signature."""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from agent.core import release_manifest
from agent.release import ReleaseError

if TYPE_CHECKING:
    from docker import APIClient

    from agent.release.keys import Signer

RELEASE_IN_IMAGE = "/opt/dockmon-agent/release"
EXTRACT_LABEL = "dockmon-agent.extract"

MAX_MANIFEST_BYTES = 8 * 2**20
ENGINE_DEADLINE_S = 300


@contextlib.contextmanager
def engine() -> Iterator[APIClient]:
    """The engine that DOCKER_HOST names, or the default one."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=ENGINE_DEADLINE_S).api
        client.ping()
    except DockerException as error:
        raise ReleaseError(f"no Docker engine answers: {error}; set DOCKER_HOST") from error
    with contextlib.closing(client):
        yield client


def sign_image(
    client: APIClient, unsigned: str, tag: str, signer: Signer, certificate: bytes
) -> str:
    """Makes the image `tag` from `unsigned`. Nothing in either is run.

    Returns:
        The new image's ID.

    Raises:
        ReleaseError: There is no release in the image, or the engine refuses.
    """
    from docker.errors import APIError, ImageNotFound

    try:
        image = client.inspect_image(unsigned)  # type: ignore[no-untyped-call] # its stub is bare
        manifest = _manifest(client, image)
        signature = signer.sign(manifest, certificate)
        return _built(client, image, tag, signature)
    except ImageNotFound as error:
        raise ReleaseError(f"the engine has no image {unsigned}: pull or build it first") from error
    except APIError as error:
        raise ReleaseError(f"the engine refuses: {error.explanation or error}") from error


def _manifest(client: APIClient, image: dict[str, Any]) -> bytes:
    """Read from a container that is made for this and never started."""
    from docker.errors import NotFound

    made = client.create_container(
        image["Id"],
        command=["never-started"],
        labels={EXTRACT_LABEL: "sign-image"},
        host_config=client.create_host_config(network_mode="none"),
        platform=_platform(image),
    )
    try:
        parts, _ = client.get_archive(made["Id"], f"{RELEASE_IN_IMAGE}/{release_manifest.MANIFEST}")
        return _first_file(_limited(parts))
    except NotFound as error:
        raise ReleaseError(
            f"the image has no {RELEASE_IN_IMAGE}/{release_manifest.MANIFEST}: it is not the agent's"
        ) from error
    finally:
        client.remove_container(made["Id"], v=True, force=True)


def _limited(parts: Iterator[bytes]) -> bytes:
    content = bytearray()
    for part in parts:
        content += part
        if len(content) > MAX_MANIFEST_BYTES:
            raise ReleaseError(f"the image's manifest is larger than {MAX_MANIFEST_BYTES} bytes")
    return bytes(content)


def _first_file(archive: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        for entry in packed:
            file = packed.extractfile(entry) if entry.isreg() else None
            if file is not None:
                return file.read()
    raise ReleaseError(f"the image's {release_manifest.MANIFEST} is not a regular file")


def _built(client: APIClient, image: dict[str, Any], tag: str, signature: bytes) -> str:
    recipe = f"FROM {image['Id']}\nCOPY {release_manifest.SIGNATURE} {RELEASE_IN_IMAGE}/\n"
    context = _context({"Dockerfile": recipe.encode(), release_manifest.SIGNATURE: signature})
    # Each step's container is removed, also after a failure.
    steps = client.build(
        fileobj=context,
        custom_context=True,
        tag=tag,
        rm=True,
        forcerm=True,
        pull=False,
        decode=True,
        platform=_platform(image),
    )
    for step in steps:
        if "error" in step:
            raise ReleaseError(f"the image cannot be built: {step['error']}")
    return str(client.inspect_image(tag)["Id"])  # type: ignore[no-untyped-call] # its stub is bare


def _context(files: dict[str, bytes]) -> io.BytesIO:
    """A build context: root's files, with no time of their own, so that the same signature makes the same layer."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    packed.seek(0)
    return packed


def _platform(image: dict[str, Any]) -> str:
    return "/".join(filter(None, (image["Os"], image["Architecture"], image.get("Variant"))))
