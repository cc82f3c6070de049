"""Volumes: listed, created, deleted, pruned."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agent.core.image_shapes import whole
from agent.core.ledger import Entry, Repeat
from agent.core.usage import Usage, usage
from agent.core.volume_shapes import volume_list
from agent.features.deadlines import ANSWER_S, LIST_S, PROBE_S
from agent.ports import CommandFailed, Conflict, Engine, Handler, Json, NotFound

ACTION_LIST_S, CREATE_S, DELETE_S = 15.0, 30.0, 60.0
"""How long the server waits; for `list_volumes` as an action less than for the command."""

STEP_S = 10.0

DELETED: Json = {"success": True}

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


class Nothing(BaseModel):
    """The command needs no payload."""


class CreateVolume(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str = Field(min_length=2, max_length=255, pattern=_NAME)


class DeleteVolume(BaseModel):
    model_config = ConfigDict(strict=True)

    volume_name: str = Field(min_length=1, max_length=255, pattern=_NAME)
    force: bool = False


def volumes(engine: Engine) -> list[Handler[Any]]:
    async def list_volumes(_: Nothing, __: str) -> list[Json]:
        found = await engine.volumes(deadline_s=LIST_S - ANSWER_S - STEP_S)
        return volume_list(found, usage(await engine.containers(deadline_s=STEP_S)))

    async def create(payload: CreateVolume, _: str) -> Json:
        return {"name": await _create(engine, payload)}

    async def delete(payload: DeleteVolume, _: str) -> Json:
        # The words of these texts are what the server makes its own answers of.
        try:
            await engine.remove_volume(
                payload.volume_name, force=payload.force, deadline_s=DELETE_S - ANSWER_S
            )
        except NotFound:
            raise CommandFailed(f"volume {payload.volume_name} not found") from None
        except Conflict as conflict:
            raise CommandFailed(f"the volume is in use: {conflict}") from None
        return DELETED

    async def was_deleted(entry: Entry) -> Json | None:
        found = await engine.volumes(deadline_s=PROBE_S)
        return None if any(each.get("Name") == entry.subject for each in found) else DELETED

    async def prune(_: Nothing, __: str) -> Json:
        answer = await engine.prune_volumes(deadline_s=DELETE_S - ANSWER_S)
        names = answer.get("VolumesDeleted") or []
        return {
            "removed_count": len(names),
            "space_reclaimed": whole(answer.get("SpaceReclaimed")),
            "volumes_removed": names,
        }

    return [
        Handler("list_volumes", Nothing, list_volumes, lambda _: LIST_S),
        # One that exists is what was asked for.
        Handler("create_volume", CreateVolume, create, lambda _: CREATE_S, Repeat.REDO, _by_name),
        Handler(
            "delete_volume",
            DeleteVolume,
            delete,
            lambda _: DELETE_S,
            Repeat.PROBE,
            lambda payload: f"volume {payload.volume_name}",
            subject=lambda payload: payload.volume_name,
            probe=was_deleted,
        ),
        # Once more removes what has become unused since: that is what was asked for.
        Handler(
            "prune_volumes", Nothing, prune, lambda _: DELETE_S, Repeat.REDO, lambda _: "volumes"
        ),
    ]


def volume_operations(engine: Engine) -> list[Handler[Any]]:
    """The same as container actions, which the server knows and does not send yet."""

    async def list_volumes(_: Nothing, __: str) -> Json:
        return {"volumes": volume_list(await engine.volumes(deadline_s=STEP_S), Usage())}

    async def create(payload: CreateVolume, _: str) -> Json:
        return {"volume_name": await _create(engine, payload)}

    return [
        Handler("list_volumes", Nothing, list_volumes, lambda _: ACTION_LIST_S),
        Handler("create_volume", CreateVolume, create, lambda _: CREATE_S, Repeat.REDO, _by_name),
    ]


def _by_name(payload: CreateVolume) -> str:
    return f"volume {payload.name}"


async def _create(engine: Engine, payload: CreateVolume) -> str:
    made = await engine.create_volume({"Name": payload.name}, deadline_s=CREATE_S - ANSWER_S)
    return str(made.get("Name") or payload.name)
