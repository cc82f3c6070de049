"""What the server says: frames in, messages out. Bad input becomes a value that says what was wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, TypeAdapter, ValidationError

from agent.core.faults import first_fault


class _Message(BaseModel):
    # The server may learn new keys; an agent that refuses them would have to be updated first.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Command(_Message):
    """`type: "command"`. `list_containers` comes without a payload at all."""

    type: Literal["command"]
    id: str = Field(min_length=1, max_length=255)
    command: str = Field(min_length=1)
    payload: dict[str, Any] | None = None


class OperationPayload(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    action: str = Field(min_length=1)


class ContainerOperation(_Message):
    """`type: "container_operation"`: an action on one container, answered in the flat form."""

    type: Literal["container_operation"]
    id: str = Field(min_length=1, max_length=255)
    payload: OperationPayload


class ShellSession(_Message):
    """`type: "shell_session"`: terminal traffic, in order, without an id and without a reply."""

    type: Literal["shell_session"]
    payload: dict[str, Any]


class HealthCheckMessage(_Message):
    """The three forms of health-check configuration; none has an id or a reply."""

    type: Literal["health_check_config", "health_check_config_remove", "health_check_configs_sync"]
    payload: dict[str, Any]


Message = Command | ContainerOperation | ShellSession | HealthCheckMessage

_MESSAGES: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Discriminator("type")])


@dataclass(frozen=True, slots=True)
class Malformed:
    """A frame that is not a message. `request_id` and `flat` are how to answer it, if an id could be made out."""

    reason: str
    request_id: str | None = None
    flat: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """A well-formed frame of a type this release does not know: of a newer server, to be ignored."""

    type: str


def parse(frame: str | bytes) -> Message | Malformed | Unknown:
    """Reads one frame. Never raises."""
    if isinstance(frame, bytes):
        return Malformed("a binary frame")
    try:
        decoded = json.loads(frame)
    except (ValueError, RecursionError) as error:
        return Malformed(f"not JSON: {error}")
    if not isinstance(decoded, dict):
        return Malformed("not a JSON object")
    kind = decoded.get("type")
    if not isinstance(kind, str):
        return Malformed("type: a text is required", _request_id(decoded))
    try:
        return _MESSAGES.validate_python(decoded)
    except ValidationError as error:
        if error.errors()[0]["type"].startswith("union_tag"):
            return Unknown(kind[:64])
        return Malformed(
            first_fault(error, "message", skip=1),
            _request_id(decoded),
            flat=kind == "container_operation",
        )


def _request_id(decoded: dict[str, Any]) -> str | None:
    for key in ("id", "correlation_id"):
        value = decoded.get(key)
        if isinstance(value, str) and 0 < len(value) <= 255:
            return value
    return None
