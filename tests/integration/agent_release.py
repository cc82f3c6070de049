"""Releases of the real agent under the real launcher: as small as can be, for the code stands where it is tested."""

from __future__ import annotations

import io
import secrets
import shutil
import site
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import docker
from engine import LABEL
from fakes.tar import tar_of
from launcher.machine_room import FAULTS, REPOSITORY, Room
from launcher.releases import Release, Signer

from agent.console.image_registry import ImageRegistry
from agent.core.self_update_rules import RELEASE_PATH, VERSION_LABEL

START = """\
import sys

if {fails} and sys.argv[1:] == ["self-check"]:
    sys.exit(3)
sys.path[:0] = {paths!r}
from agent.cli import main

main()
"""


@dataclass(frozen=True)
class AgentRelease(Release):
    """The agent of this tree with moments to kill it at. `code` is where it is; it may fail its self-check."""

    code: Path = REPOSITORY
    fails: bool = False

    @property
    def files(self) -> dict[str, bytes]:
        paths = [str(self.code), *site.getsitepackages()]
        start = START.format(fails=self.fails, paths=paths).encode()
        return {"start.py": start, "site-packages/version": self.version.encode()}


def code_with_faults(directory: Path) -> Path:
    """A copy of the code in which FAULT_AT is heeded."""
    for name in ("agent", "statecharts"):
        shutil.copytree(
            REPOSITORY / name, directory / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(FAULTS, directory / "agent" / "faults.py")
    return directory


def packed(release: Release, signer: Signer) -> bytes:
    """The root file system of an image that has the release, and nothing else."""
    files: Mapping[str, bytes] = {
        **release.files,
        "manifest.json": release.manifest_bytes,
        "manifest.sig": signer.sign(release.manifest_bytes),
    }
    whole = b"".join(tar_of("/opt", {f"{RELEASE_PATH}/{k}": v for k, v in files.items()}))
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        assert f"{RELEASE_PATH}/start.py".lstrip("/") in archive.getnames()
    return whole


class Dwelling:
    """An installation, a registry with the next release, and a container that the agent takes for its own.

    Attributes:
        image: The reference of the next release.
    """

    def __init__(self, path: Path, client: docker.APIClient, old: Release, new: Release) -> None:
        self.signer = Signer()
        self.room = Room(path, self.signer)
        self.room.bake(old)
        self._client = client
        self.registry = ImageRegistry(packed(new, self.signer))
        self.registry.open()
        name = f"dmatest/{secrets.token_hex(4)}"
        labels = {LABEL: "1", VERSION_LABEL: new.version}
        self.image = self.registry.push(name, new.version, {"Labels": labels})
        self.old_image = self.registry.push(name, "old", {"Labels": {LABEL: "1"}})
        client.pull(self.old_image)
        # Its volume is the one that the installation is on.
        data = client.create_host_config(binds=[f"{self.room.data}:{self.room.data}"])
        self.own = client.create_container(
            self.old_image, ["never"], labels={LABEL: "1"}, host_config=data
        )["Id"]
        self.images_before = {image["Id"] for image in client.images()}

    def extractions(self) -> list[str]:
        """Containers that were made to copy a release out of."""
        found = self._client.containers(
            all=True, filters={"label": f"dockmon-agent.extract={self.own}"}
        )
        return [str(each["Id"]) for each in found]

    def left_over(self) -> list[str]:
        """What an update has left on the engine and on the volume."""
        name = self.image.rpartition(":")[0]
        images = [
            str(image["RepoDigests"])
            for image in self._client.images(name)
            if image["Id"] not in self.images_before
        ]
        return self.extractions() + images + self.room.left_over()

    def close(self) -> None:
        self.room.close()
        for container in (*self.extractions(), self.own):
            self._client.remove_container(container, force=True)
        for reference in (self.old_image, self.image):
            if self._client.images(reference):
                self._client.remove_image(reference, force=True)
        self.registry.close()
