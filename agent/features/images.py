"""Images: listed, removed, pruned."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agent.core.image_shapes import image_list, removed_images
from agent.core.ledger import Entry, Repeat
from agent.core.usage import usage
from agent.features.deadlines import ANSWER_S, LIST_S, PROBE_S
from agent.ports import Engine, Handler, Json, NotFound

PRUNE_S, REMOVE_S = 120.0, 60.0
"""How long the server waits."""

REMOVED: Json = {"success": True}


class Nothing(BaseModel):
    """The command needs no payload."""


class RemoveImage(BaseModel):
    """`image_id` is an ID, in full or cut to 12 characters, or a reference."""

    model_config = ConfigDict(strict=True)

    image_id: str = Field(min_length=1, max_length=500, pattern=r"^\S+$")
    force: bool = False


def images(engine: Engine) -> list[Handler[Any]]:
    async def list_images(_: Nothing, __: str) -> list[Json]:
        found = await engine.images(deadline_s=(LIST_S - ANSWER_S) / 2)
        used = usage(await engine.containers(deadline_s=(LIST_S - ANSWER_S) / 2))
        return image_list(found, used)

    async def remove(payload: RemoveImage, _: str) -> Json:
        await engine.remove_image(
            payload.image_id, force=payload.force, deadline_s=REMOVE_S - ANSWER_S
        )
        return REMOVED

    async def was_removed(entry: Entry) -> Json | None:
        try:
            await engine.inspect_image(entry.subject, deadline_s=PROBE_S)
        except NotFound:
            return REMOVED
        return None

    async def prune(_: Nothing, __: str) -> Json:
        return removed_images(await engine.prune_images(deadline_s=PRUNE_S - ANSWER_S))

    return [
        Handler("list_images", Nothing, list_images, lambda _: LIST_S),
        Handler(
            "remove_image",
            RemoveImage,
            remove,
            lambda _: REMOVE_S,
            Repeat.PROBE,
            lane=lambda _: "images",
            subject=lambda payload: payload.image_id,
            probe=was_removed,
        ),
        # Once more removes what has become unused since: that is what was asked for.
        Handler("prune_images", Nothing, prune, lambda _: PRUNE_S, Repeat.REDO, lambda _: "images"),
    ]
