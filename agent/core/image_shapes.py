"""Images as the server lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.core.usage import SHORT_ID, Json, Usage, created_text, text

_UNTAGGED = "<none>"
"""What older engines write for a tag that is not there."""


def image_list(images: Iterable[Mapping[str, Any]], used: Usage) -> list[Json]:
    """`list_images`: newest first. `images` are those of `GET /images/json`."""
    shown = [_image(image, used) for image in images if text(image, "Id")]
    return sorted(shown, key=lambda image: str(image["created"]), reverse=True)


def removed_images(answer: Mapping[str, Any]) -> Json:
    """`prune_images`, from what the engine answers: an image counts when it is deleted, not when a tag of it is."""
    deleted = answer.get("ImagesDeleted")
    entries = deleted if isinstance(deleted, list) else []
    count = sum(1 for entry in entries if isinstance(entry, dict) and entry.get("Deleted"))
    return {"removed_count": count, "space_reclaimed": whole(answer.get("SpaceReclaimed"))}


def whole(value: object) -> int:
    """A count or a size as the server wants it: a whole number, 0 for anything odd."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _image(image: Mapping[str, Any], used: Usage) -> Json:
    image_id = text(image, "Id")
    tags = image.get("RepoTags")
    named = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    named = [tag for tag in named if _UNTAGGED not in tag]
    containers = used.images.get(image_id, [])
    return {
        "id": image_id.removeprefix("sha256:")[:SHORT_ID],
        "tags": named,
        "size": whole(image.get("Size")),
        "created": created_text(image.get("Created")),
        "in_use": bool(containers),
        "container_count": len(containers),
        "containers": containers,
        "dangling": not named,
    }
