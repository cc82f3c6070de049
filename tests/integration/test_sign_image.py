"""Signing the release in an image, on a real engine."""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from engine import NAME_PREFIX
from release.workshop import Ceremony, small_release

from agent.launcher.root_keys import load
from agent.launcher.signature import fault_of_signature
from agent.release import ReleaseError
from agent.release.image import EXTRACT_LABEL, RELEASE_IN_IMAGE, sign_image
from agent.release.keys import Signer
from agent.release.tree import write_manifest


@pytest.fixture
def ceremony(tmp_path: Path) -> Ceremony:
    return Ceremony(tmp_path / "keys")


@pytest.fixture
def unsigned(docker_client: docker.APIClient, tmp_path: Path) -> Iterator[str]:
    """An image with a release in it, and nothing else."""
    release = small_release(tmp_path / "release")
    write_manifest(release)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as packed:
        packed.add(release, RELEASE_IN_IMAGE)
    name = f"{NAME_PREFIX}{secrets.token_hex(4)}"
    docker_client.import_image_from_data(content.getvalue(), repository=name, tag="unsigned")
    yield f"{name}:unsigned"
    for tag in ("signed", "unsigned"):
        if docker_client.images(f"{name}:{tag}"):
            docker_client.remove_image(f"{name}:{tag}", force=True)


def file_in(client: docker.APIClient, image: str, name: str) -> bytes:
    made = client.create_container(image, command=["never-started"])
    try:
        parts, _ = client.get_archive(made["Id"], f"{RELEASE_IN_IMAGE}/{name}")
        with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as packed:
            file = packed.extractfile(name)
            assert file is not None
            return file.read()
    finally:
        client.remove_container(made["Id"], force=True)


def ours(client: docker.APIClient) -> list[str]:
    return [c["Id"] for c in client.containers(all=True, filters={"label": EXTRACT_LABEL})]


def test_a_signed_image(docker_client: docker.APIClient, unsigned: str, ceremony: Ceremony) -> None:
    """A host verifies what is in it; the unsigned one is as it was, and no container is left."""
    before = ours(docker_client)
    final = unsigned.replace("unsigned", "signed")
    signer, certificate = Signer.load(ceremony.key), ceremony.certificate.read_bytes()
    made = sign_image(docker_client, unsigned, final, signer, certificate)
    assert made.startswith("sha256:")
    manifest = file_in(docker_client, final, "manifest.json")
    signature = file_in(docker_client, final, "manifest.sig")
    assert fault_of_signature(manifest, signature, load(str(ceremony.trusted))[0]) == ""
    with pytest.raises(docker.errors.NotFound):
        file_in(docker_client, unsigned, "manifest.sig")
    assert ours(docker_client) == before


def test_an_image_of_something_else(
    docker_client: docker.APIClient, busybox_image: str, ceremony: Ceremony
) -> None:
    """It is told, and no container is left of that either."""
    before = ours(docker_client)
    signer, certificate = Signer.load(ceremony.key), ceremony.certificate.read_bytes()
    with pytest.raises(ReleaseError, match="it is not the agent's"):
        sign_image(docker_client, busybox_image, "never:made", signer, certificate)
    assert ours(docker_client) == before


def test_an_image_that_is_not_there(docker_client: docker.APIClient, ceremony: Ceremony) -> None:
    """Nothing is pulled: what is to be signed was built here."""
    signer, certificate = Signer.load(ceremony.key), ceremony.certificate.read_bytes()
    with pytest.raises(ReleaseError, match="pull or build it first"):
        sign_image(docker_client, "no/such:image", "never:made", signer, certificate)
