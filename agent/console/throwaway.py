"""A container that does nothing and is gone afterwards, made from whatever the engine can get hold of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import docker
import requests

from agent.console import busybox
from agent.hub.shapes import SHORT_ID_LENGTH

LABEL = "dockmon-agent.demo"

FAILURES = (docker.errors.DockerException, requests.RequestException)
"""What a call of a `docker.APIClient` raises: the second where the engine goes away in the middle of one."""

IDLE = ("sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait")
"""Ends at once when it is told to: a bare `sleep` as the first process ignores TERM."""

STOP_S = 5

_FAMILIES = ("busybox", "alpine", "debian", "ubuntu")
"""Small images with a shell that many engines have already."""

_PULLED = "busybox:stable"


@dataclass(frozen=True, slots=True)
class Source:
    """One way to an image. `text` says in a few words what it is; `is_ours`: the demo brings it and takes it away."""

    text: str
    image: str
    is_ours: Literal["imported", "pulled"] | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A container as the engine has it, by its short ID."""

    id: str
    image: str
    status: str

    def __str__(self) -> str:
        return f"{self.id} from {self.image}, {self.status}"


class Throwaway:
    """At most one container, and the image that was brought for it. All calls block.

    Everything carries `label`, so that what a call had begun is found even if it was cut short, and what others make
    of the container or with the label as well.

    Args:
        client: Of the engine; stays the caller's to close.
        run: Tells this run from others on the same engine: eight hexadecimal digits.
    """

    def __init__(self, client: docker.APIClient, run: str) -> None:
        self._client, self._run = client, run
        self._source: Source | None = None
        self.name = f"demo-{run[:4]}"
        self.id = ""
        self.label = f"{LABEL}={run}"

    def sources(self) -> list[Source]:
        """The ways to an image that are open here, the best first: none needs the network but the last."""
        tags = sorted(tag for image in self._client.images() for tag in image["RepoTags"] or ())
        sources = []
        if busybox.runs_on(self._client.version()):
            name = f"dockmon-demo:{self._run}"
            sources.append(Source(f"this machine's {busybox.PROGRAM}", name, "imported"))
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

    def look(self) -> Seen:
        """Whatever has the container's name now."""
        inspected = self._client.inspect_container(self.name)
        return Seen(
            inspected["Id"][:SHORT_ID_LENGTH],
            inspected["Config"]["Image"],
            inspected["State"]["Status"],
        )

    def processes(self) -> int:
        """How many there are in it, while it runs."""
        return len(self._client.top(self.id)["Processes"])

    def follow(self) -> None:
        """From now on it is about whatever has the container's name now."""
        self.id = self._client.inspect_container(self.name)["Id"]

    @property
    def image(self) -> str:
        assert self._source is not None
        return self._source.image

    def root(self) -> tuple[bytes, str]:
        """The container's root file system as a tar archive, and what its programs run on, in the engine's words."""
        inspected = self._client.inspect_image(self.image)  # type: ignore[no-untyped-call] # its stub is bare
        return b"".join(self._client.export(self.id)), str(inspected["Architecture"])

    def start(self) -> None:
        self._client.start(self.id)

    def stop(self) -> None:
        self._client.stop(self.id, timeout=STOP_S)

    @property
    def by_hand(self) -> str:
        """The commands that do what `remove_all` does."""
        mine = f"--filter label={self.label}"
        return (
            f"docker ps -aq {mine} | xargs -r docker rm -f -v; "
            f"docker images -q {mine} | xargs -r docker rmi -f"
        )

    def remove_all(self) -> list[str]:
        """Removes all that was made, whatever happened to it since. Returns commands for what would not go."""
        left: list[str] = []
        try:
            # Again after each that found something: a call that was under way may have made one more.
            while not left and (found := self._labelled()):
                for what, command, remove in found:
                    left += self._remove(what, command, remove)
        except FAILURES:
            left.append(self.by_hand)
        if self._source is not None and self._source.is_ours == "pulled":
            left += self._remove(self._source.image, "rmi", self._client.remove_image)
        return left

    # Where an image comes from

    def _import(self, image: str) -> None:
        repository, tag = image.split(":")
        self._client.import_image_from_data(
            busybox.root(), repository, tag, changes=[f"LABEL {self.label}"]
        )

    def _has_volumes(self, image: str) -> bool:
        # The server cannot ask for them to be removed with the container, so they would stay.
        inspected = self._client.inspect_image(image)  # type: ignore[no-untyped-call] # its stub is bare
        return bool((inspected.get("Config") or {}).get("Volumes"))

    # Cleaning up

    def _labelled(self) -> list[tuple[str, str, Callable[[str], object]]]:
        """What there is: its ID, the command that removes it, and the call that does. Containers come first."""
        mine = {"label": self.label}
        containers = self._client.containers(all=True, filters=mine)
        images = self._client.images(filters=mine)
        return [
            *((each["Id"][:12], "rm -f -v", self._remove_container) for each in containers),
            *((each["Id"], "rmi -f", self._remove_image) for each in images),
        ]

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
