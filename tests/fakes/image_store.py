"""The images of the engine in memory, and the registry it pulls from."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fakes.box import Box
from fakes.event_ring import EventRing

from agent.clock import utcnow
from agent.core.rfc3339 import rfc3339
from agent.ports import Conflict, EngineRefused, Json, NotFound

MISSING = "missing"
"""Images that begin so are in no registry."""

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a registry has under one reference, and what containers made from it do.

    Attributes:
        config: The image's own `Config`: Env, Labels, Cmd, Volumes, …
        dies_after_s: How long after each start the process ends by itself; None for never.
        exit_code: What it ends with then.
        health: What its HEALTHCHECK finds, as (seconds after each start, status); () is without one.
        refuses_start: Why it cannot even be started, "" if it can.
        is_new: Each pull brings an image that was not there; if not, the engine has it already.
        files: What is in it, by absolute path.
        platform: What it is made for.
        pull_error: What breaks each pull off half-way, in-band; "" for nothing.
    """

    config: Mapping[str, object] = field(default_factory=dict)
    size_bytes: int = 5 * MIB
    dies_after_s: float | None = None
    exit_code: int = 0
    health: Sequence[tuple[float, str]] = ()
    refuses_start: str = ""
    is_new: bool = True
    pull_error: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    platform: str = "linux/amd64"


@dataclass(slots=True)
class Image:
    id: str
    recipe: Recipe
    created_at: str
    tags: list[str] = field(default_factory=list)
    repo_digests: list[str] = field(default_factory=list)


class ImageStore:
    """Images by ID (with `sha256:`), and what can be pulled.

    Attributes:
        registry: What a reference brings when it is pulled or first used; a plain image if it is not in here.
        logins: (reference, user name) of each pull with credentials.
    """

    def __init__(self, ring: EventRing, boxes: Mapping[str, Box]) -> None:
        self.images: dict[str, Image] = {}
        self.registry: dict[str, Recipe] = {}
        self.logins: list[tuple[str, str]] = []
        self._ring, self._boxes = ring, boxes
        self._count = 0

    def find(self, reference: str) -> Image:
        """By tag, ID, or the beginning of an ID with or without `sha256:`."""
        name = reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"
        for image in self.images.values():
            if reference == image.id or {reference, name} & {*image.tags, *image.repo_digests}:
                return image
        for image in self.images.values():
            if len(reference) >= 12 and image.id.removeprefix("sha256:").startswith(reference):
                return image
        raise NotFound(f"No such image: {reference}", 404)

    def id_of(self, reference: str) -> str | None:
        try:
            return self.find(reference).id
        except NotFound:
            return None

    def recipe(self, image_id: str) -> Recipe:
        image = self.images.get(image_id)
        return image.recipe if image else Recipe()

    def add(self, reference: str) -> Image:
        """What the registry has under `reference`, as a new image: the tag moves on to it."""
        self._count += 1
        digest = hashlib.sha256(f"image {self._count}".encode()).hexdigest()
        for other in self.images.values():
            if reference in other.tags:
                other.tags.remove(reference)
        recipe = self.registry.get(reference, Recipe())
        image = Image(f"sha256:{digest}", recipe, rfc3339(utcnow()), [reference])
        if "@" in reference:  # pulled by digest, it has no tag
            image.tags, image.repo_digests = [], [reference]
        else:
            repository = reference.rpartition(":")[0] if ":" in reference else reference
            image.repo_digests = [f"{repository}@sha256:{digest[::-1]}"]
        self.images[image.id] = image
        return image

    def lose(self, image_id: str) -> None:
        """It is gone, and nothing told of it."""
        del self.images[image_id]

    def distribution(self, reference: str) -> Json:
        """What the registry says is under `reference`, as the engine asks for it. By that digest it can be pulled."""
        if reference.startswith(MISSING):
            raise NotFound(f"manifest for {reference} not found: manifest unknown", 404)
        recipe = self.registry.get(reference, Recipe())
        digest = f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"
        repository = reference.rpartition(":")[0]
        self.registry[f"{repository}@{digest}"] = recipe
        os, _, architecture = recipe.platform.partition("/")
        return {
            "Descriptor": {"digest": digest, "size": 1000},
            "Platforms": [{"os": os, "architecture": architecture}],
        }

    # Pulls

    def pull_steps(self, reference: str) -> Iterator[Json]:
        """What dockerd's stream says, to its end or to its error.

        Raises:
            EngineRefused: There is no such image, or the pull breaks off; as dockerd says it.
        """
        if reference.startswith(MISSING):
            raise NotFound(f"manifest for {reference} not found: manifest unknown", 404)
        recipe = self.registry.get(reference, Recipe())
        repository, _, tag = reference.rpartition(":")
        yield {"status": f"Pulling from {repository}", "id": tag}
        if not recipe.is_new and self.id_of(reference):
            yield {"status": f"Status: Image is up to date for {reference}"}
            return
        yield from _layer_steps(recipe.size_bytes, recipe.pull_error)
        yield {"status": f"Status: Downloaded newer image for {reference}"}

    def pulled(self, reference: str) -> None:
        """The end of a pull that went well."""
        recipe = self.registry.get(reference, Recipe())
        if recipe.is_new or not self.id_of(reference):
            self.add(reference)
        self._ring.tell("image", "pull", reference, {"name": reference.partition(":")[0]})

    # What the engine answers

    def listed(self) -> list[Json]:
        return [
            {
                "Id": image.id,
                "RepoTags": image.tags or ["<none>:<none>"],
                "RepoDigests": image.repo_digests if image.tags else ["<none>@<none>"],
                "Created": 1767225600,
                "Size": image.recipe.size_bytes,
                "VirtualSize": image.recipe.size_bytes,
                "SharedSize": -1,
                "Containers": -1,
                "Labels": image.recipe.config.get("Labels"),
                "ParentId": "",
            }
            for image in reversed(self.images.values())
        ]

    def inspected(self, reference: str) -> Json:
        image = self.find(reference)
        return {
            "Id": image.id,
            "RepoTags": image.tags,
            "RepoDigests": image.repo_digests,
            "Created": image.created_at,
            "Size": image.recipe.size_bytes,
            "Os": image.recipe.platform.partition("/")[0],
            "Architecture": image.recipe.platform.partition("/")[2],
            "Config": {"Env": None, "Cmd": None, "Labels": None, **image.recipe.config},
        }

    # What it removes

    def remove(self, reference: str, *, force: bool) -> None:
        image = self.find(reference)
        named = (reference, f"{reference}:latest")
        tag = next((each for each in named if each in image.tags), None)
        if obstacle := self._obstacle(image, tag, force=force):
            raise Conflict(f"conflict: {obstacle}", 409)
        for each in [tag] if tag else list(image.tags):
            image.tags.remove(each)
            self._tell("untag", image)
        if not image.tags and not self._users(image, running_only=True):
            self._delete(image)

    def prune(self) -> Json:
        unused = [image for image in self.images.values() if not self._users(image)]
        steps: list[Json] = []
        for image in unused:
            steps += [{"Untagged": tag} for tag in image.tags] + [{"Deleted": image.id}]
            self._delete(image)
        space = sum(image.recipe.size_bytes for image in unused)
        self._ring.tell("image", "prune", "", {"reclaimed": str(space)})
        return {"ImagesDeleted": steps or None, "SpaceReclaimed": space}

    def _obstacle(self, image: Image, tag: str | None, *, force: bool) -> str:
        """Why dockerd does not remove `tag`, or without one the whole image; "" if it does."""
        short = image.id.removeprefix("sha256:")[:12]
        if tag is None:
            for box in self._users(image, running_only=True):
                return (
                    f"unable to delete {short} (cannot be forced) - image is being used by "
                    f"running container {box.id[:12]}"
                )
        if force or (tag and len(image.tags) > 1):
            return ""
        if len(image.tags) > 1:
            return (
                f"unable to delete {short} (must be forced) - image is referenced in multiple "
                "repositories"
            )
        for box in self._users(image):
            if tag:
                return (
                    f'unable to remove repository reference "{tag}" (must force) - container '
                    f"{box.id[:12]} is using its referenced image {short}"
                )
            return (
                f"unable to delete {short} (must be forced) - image is being used by stopped "
                f"container {box.id[:12]}"
            )
        return ""

    def _users(self, image: Image, *, running_only: bool = False) -> list[Box]:
        return [
            box
            for box in self._boxes.values()
            if box.image_id == image.id and (box.running or not running_only)
        ]

    def _delete(self, image: Image) -> None:
        del self.images[image.id]
        self._tell("delete", image)

    def _tell(self, action: str, image: Image) -> None:
        self._ring.tell("image", action, image.id, {"name": image.id})


def _layer_steps(size_bytes: int, error: str) -> Iterator[Json]:
    layers = [("a" * 12, size_bytes // 4), ("b" * 12, size_bytes - size_bytes // 4)]
    for layer, _ in layers:
        yield {"status": "Pulling fs layer", "progressDetail": {}, "id": layer}
    for layer, total in layers:
        for part in (1, 2):
            detail = {"current": total * part // 2, "total": total}
            yield {"status": "Downloading", "progressDetail": detail, "id": layer}
        if error:
            raise EngineRefused(error, 500)
        yield {"status": "Download complete", "progressDetail": {}, "id": layer}
        yield {
            "status": "Extracting",
            "progressDetail": {"current": total, "total": total},
            "id": layer,
        }
        yield {"status": "Pull complete", "progressDetail": {}, "id": layer}


def merged(config: Json, image_config: Mapping[str, object]) -> Json:
    """A container's `Config` as dockerd makes it from what was asked and what the image brings."""
    full = copy.deepcopy(config)
    own: Json = copy.deepcopy(dict(image_config))
    for key in ("Labels", "ExposedPorts", "Volumes"):
        if own.get(key):
            full[key] = {**own[key], **(full.get(key) or {})}
    mine = [entry.partition("=")[0] for entry in full.get("Env") or ()]
    inherited = [entry for entry in own.get("Env") or () if entry.partition("=")[0] not in mine]
    if mine or inherited:
        full["Env"] = [*(full.get("Env") or ()), *inherited]
    if not full.get("Entrypoint"):
        if not full.get("Cmd"):
            full["Cmd"] = own.get("Cmd")
        full["Entrypoint"] = own.get("Entrypoint")
    for key in ("User", "WorkingDir", "StopSignal", "Healthcheck"):
        if not full.get(key) and own.get(key):
            full[key] = own[key]
    return full
