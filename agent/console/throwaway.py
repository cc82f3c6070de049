"""A container that does nothing and is gone afterwards, made from whatever the engine can get hold of."""

from __future__ import annotations

import io
import platform
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import docker
import requests

LABEL = "dockmon-agent.demo"

FAILURES = (docker.errors.DockerException, requests.RequestException)
"""What a call of a `docker.APIClient` raises: the second where the engine goes away in the middle of one."""

IDLE = ("sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait")
"""Ends at once when it is told to: a bare `sleep` as the first process ignores TERM."""

STOP_S = 5

_BUSYBOX = Path("/bin/busybox")
_APPLETS = ("sh", "sleep")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_FAMILIES = ("busybox", "alpine", "debian", "ubuntu")
"""Small images with a shell that many engines have already."""

_PULLED = "busybox:stable"


@dataclass(frozen=True, slots=True)
class Source:
    """One way to an image. `text` says in a few words what it is; `is_ours`: the demo brings it and takes it away."""

    text: str
    image: str
    is_ours: Literal["imported", "pulled"] | None = None


class Throwaway:
    """At most one container, and the image that was brought for it. All calls block.

    Everything carries a label with `run`, so that what a call had begun is found even if it was cut short.

    Args:
        client: Of the engine; stays the caller's to close.
        run: Tells this run from others on the same engine: eight hexadecimal digits.
    """

    def __init__(self, client: docker.APIClient, run: str) -> None:
        self._client, self._run = client, run
        self._source: Source | None = None
        self.name = f"demo-{run[:4]}"
        self.id = ""

    def sources(self) -> list[Source]:
        """The ways to an image that are open here, the best first: none needs the network but the last."""
        tags = sorted(tag for image in self._client.images() for tag in image["RepoTags"] or ())
        sources = []
        if self._runs_our_busybox():
            name = f"dockmon-agent-demo:{self._run}"
            sources.append(Source(f"this machine's {_BUSYBOX}", name, "imported"))
        for family in _FAMILIES:
            there = (tag for tag in tags if tag.partition(":")[0] == family)
            if (tag := next(there, None)) is not None and not self._has_volumes(tag):
                sources.append(Source(f"the image {tag}", tag))
        if _PULLED not in tags:
            sources.append(
                Source(f"the image {_PULLED}, which has to be pulled", _PULLED, "pulled")
            )
        return sources

    def choose(self, source: Source) -> None:
        """From now on `remove_all` knows what may have been brought. Call it before a pull; does not block."""
        self._source = source

    def make(self) -> None:
        """Creates the container from the chosen source; it does not run yet.

        Raises:
            One of `FAILURES`.
        """
        assert self._source is not None
        if self._source.is_ours == "imported":
            self._import(self._source.image)
        created = self._client.create_container(
            self._source.image,
            entrypoint=list(IDLE),
            name=self.name,
            labels={LABEL: self._run},
            host_config=self._client.create_host_config(network_mode="none"),
        )
        self.id = created["Id"]

    def start(self) -> None:
        self._client.start(self.id)

    def stop(self) -> None:
        self._client.stop(self.id, timeout=STOP_S)

    @property
    def by_hand(self) -> str:
        """The commands that do what `remove_all` does."""
        mine = f"--filter label={LABEL}={self._run}"
        return (
            f"docker ps -aq {mine} | xargs -r docker rm -f -v; "
            f"docker images -q {mine} | xargs -r docker rmi -f"
        )

    def remove_all(self) -> list[str]:
        """Removes all that was made, whatever happened to it since. Returns commands for what would not go."""
        mine = {"label": f"{LABEL}={self._run}"}
        left = []
        try:
            for container in self._client.containers(all=True, filters=mine):
                left += self._remove(container["Id"][:12], "rm -f -v", self._remove_container)
            for image in self._client.images(filters=mine):
                left += self._remove(image["Id"], "rmi -f", self._remove_image)
        except FAILURES:
            left.append(self.by_hand)
        if self._source is not None and self._source.is_ours == "pulled":
            left += self._remove(self._source.image, "rmi", self._client.remove_image)
        return left

    # Where an image comes from

    def _runs_our_busybox(self) -> bool:
        if not _is_static(_BUSYBOX):
            return False
        engine = self._client.version()
        ours = _MACHINES.get(platform.machine(), "another")
        return (engine.get("Os"), engine.get("Arch")) == ("linux", ours)

    def _import(self, image: str) -> None:
        repository, tag = image.split(":")
        self._client.import_image_from_data(
            _root_with_busybox(), repository, tag, changes=[f"LABEL {LABEL}={self._run}"]
        )

    def _has_volumes(self, image: str) -> bool:
        # The server cannot ask for them to be removed with the container, so they would stay.
        inspected = self._client.inspect_image(image)  # type: ignore[no-untyped-call] # its stub is bare
        return bool((inspected.get("Config") or {}).get("Volumes"))

    # Cleaning up

    def _remove_container(self, container_id: str) -> None:
        self._client.remove_container(container_id, v=True, force=True)

    def _remove_image(self, image_id: str) -> None:
        self._client.remove_image(image_id, force=True)

    def _remove(self, what: str, command: str, remove: Callable[[str], object]) -> list[str]:
        try:
            remove(what)
        except docker.errors.NotFound:
            return []
        except FAILURES:
            return [f"docker {command} {what}"]
        return []


def _is_static(program: Path) -> bool:
    # A dynamic program names its loader in its first page.
    try:
        with program.open("rb") as file:
            return b"/ld-" not in file.read(4096)
    except OSError:
        return False


def _root_with_busybox() -> bytes:
    """A root file system as a tar archive: a shell, and what it needs to wait."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(_BUSYBOX.resolve(), "bin/busybox")
        for applet in _APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return archive.getvalue()
