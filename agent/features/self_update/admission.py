"""Whether an update of the agent may begin: what can be known without touching anything."""

from __future__ import annotations

from agent.core.by_hand import by_hand
from agent.core.image_reference import ImageReference, InvalidReference
from agent.core.lifecycle import UpdateRequest
from agent.core.self_update_rules import (
    bad_download,
    foreign,
    repositories_of,
)
from agent.features.self_update.tools import UpdateTools
from agent.ports import CommandFailed, Engine, EngineError, Json

LOOK_S = 15.0

KNOWN_FOREIGN = "ghcr.io/darthnorse/dockmon-agent"
"""What the server's button offers to every agent: another product."""


async def admit(request: UpdateRequest, tools: UpdateTools, engine: Engine) -> None:
    """Returns if it may begin.

    Raises:
        CommandFailed: It may not; the text says why and what to do instead.
    """
    if tools.own is None:
        why = _native_objection(request, tools) or tools.why_not
        if why:
            raise CommandFailed(why)
    else:
        own = await engine.inspect_container(tools.own.id, deadline_s=LOOK_S)
        reference = _reference(request)
        if why := foreign(reference, tools.repositories or await _where_from(own, engine)):
            raise CommandFailed(why)
        if tools.why_not:
            raise CommandFailed(f"{tools.why_not}; {by_hand(own, request.image)}")
    if why := await tools.releases.obstacle() or await tools.releases.shortage():
        raise CommandFailed(why)


def _reference(request: UpdateRequest) -> ImageReference:
    try:
        return ImageReference.parse(request.image)
    except InvalidReference as invalid:
        raise CommandFailed(f"image {invalid}") from None


def _native_objection(request: UpdateRequest, tools: UpdateTools) -> str:
    """Natively the signature decides; what is known to be another product is not even fetched."""
    if request.image:
        reference = _reference(request)
        is_judged = bool(tools.repositories) or reference.name == KNOWN_FOREIGN
        if is_judged and (why := foreign(reference, tools.repositories)):
            return why
    if not request.binary_url:
        return "this agent does not run in a container: its update needs binary_url and checksum"
    return bad_download(request.binary_url, request.checksum)


async def _where_from(own: Json, engine: Engine) -> tuple[str, ...]:
    name = str((own.get("Config") or {}).get("Image") or "")
    try:
        image = await engine.inspect_image(str(own.get("Image")), deadline_s=LOOK_S)
    except EngineError:  # removed meanwhile: its name is all that is left
        image = {}
    return repositories_of(name, image.get("RepoTags") or (), image.get("RepoDigests") or ())
