"""What an agent says by itself, as the server reads it: no type stands for another, and every limit holds."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

SHORT_ID_LENGTH = 12
MAX_LAYERS = 20

ShortId = Annotated[
    str, Field(min_length=SHORT_ID_LENGTH), AfterValidator(lambda text: text[:SHORT_ID_LENGTH])
]
"""The server cuts IDs to twelve characters; what is shorter then is none."""
ExactId = Annotated[str, Field(pattern=rf"^[0-9a-z]{{{SHORT_ID_LENGTH}}}$")]
Name = Annotated[str, Field(pattern="^[^/]")]
Count = Annotated[int, Field(ge=0, lt=2**64)]
Percent = Annotated[FiniteFloat, Field(ge=0)]
"""A hundred is one core, or all of the memory."""


class Dropped(Exception):
    """The server makes nothing of what it was sent; the text says what is wrong with it."""


class Shape(BaseModel):
    """Keys that the server does not read may be there; a boolean is no number and a text is neither."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


ShapeT = TypeVar("ShapeT", bound=Shape)


def read(shape: type[ShapeT], value: object) -> ShapeT:
    """`value` as `shape`.

    Raises:
        Dropped: It is not; the text names every field that is wrong.
    """
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        raise Dropped(_text(error)) from None


def _text(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'all of it'}: {fault['msg']}" for fault in faults
    )


# Containers and their figures


class ContainerEventShape(Shape):
    """A `container_event`: which keys it may have, whether the action has an effect or not."""

    container_id: ShortId
    container_name: Name
    action: str
    image: str = ""
    timestamp: str = ""
    attributes: dict[str, str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _leaves_the_servers_keys_alone(cls, payload: Any) -> Any:
        # The payload is laid over the server's own description of what happened.
        own = SERVER_KEYS & payload.keys() if isinstance(payload, dict) else set()
        if own:
            raise ValueError(f"keys that are the server's own: {', '.join(sorted(own))}")
        return payload


SERVER_KEYS = {
    *("event_type", "triggered_by", "old_state", "new_state", "exit_code"),
    *("container_deleted", "container_restarted"),
}


class Sample(Shape):
    """One container's figures; memory in bytes, traffic and disk in bytes since the container started."""

    container_id: ShortId
    container_name: Name
    cpu_percent: Percent
    memory_usage: Count
    memory_limit: Count
    memory_percent: Percent
    network_rx: Count
    network_tx: Count
    disk_read: Count
    disk_write: Count


class HostFigures(Shape):
    """What is missing counts as nothing."""

    cpu_percent: Percent = 0
    mem_percent: Percent = 0
    net_bytes_per_sec: Percent = 0


class HealthResult(Shape):
    """`timestamp` is read apart: a bad one means now."""

    container_id: ShortId
    healthy: bool = False
    status_code: int = 0
    response_time_ms: int | None = None
    error_message: str | None = None
    timestamp: str | None = None


# Updates


class UpdateProgress(Shape):
    container_id: ShortId
    stage: Literal[
        "pulling",
        "configuring",
        "backup",
        "creating",
        "starting",
        "health_check",
        "dependents",
        "cleanup",
        "completed",
        "failed",
        "rollback",
    ]
    message: str
    error: str | None = None


class Layer(Shape):
    id: ExactId
    status: str
    current: Count
    total: Count
    percent: Annotated[int, Field(ge=0, le=100)]


class LayerProgress(Shape):
    container_id: ShortId
    overall_progress: Annotated[int, Field(ge=0, le=100)]
    layers: Annotated[list[Layer], Field(max_length=MAX_LAYERS)]
    total_layers: Count
    remaining_layers: Count
    summary: str
    speed_mbps: Percent

    @model_validator(mode="after")
    def _counts_every_layer(self) -> Self:
        if len(self.layers) + self.remaining_layers != self.total_layers:
            raise ValueError("layers and remaining_layers do not add up to total_layers")
        return self


class UpdateComplete(Shape):
    old_container_id: ShortId
    new_container_id: ShortId
    container_name: Name
    failed_dependents: list[str] = []


class SelfUpdateProgress(Shape):
    stage: Annotated[str, Field(pattern="^[a-z_]+$")]
    message: Annotated[str, Field(min_length=1)]
    error: str | None = None


# Deployments


class ServiceProgress(Shape):
    name: str
    status: str
    image: str = ""
    message: str = ""


class DeployProgress(Shape):
    deployment_id: str
    stage: str
    message: str
    services: list[ServiceProgress] | None = None


class DeployedService(Shape):
    """`container_id` is empty where no container was made."""

    container_id: Annotated[str, Field(pattern=rf"^([0-9a-z]{{{SHORT_ID_LENGTH}}})?$")]
    container_name: str
    image: str
    status: str
    error: str = ""
    restart_policy: str = ""
    exit_code: int | None = None


class DeployComplete(Shape):
    """Services may be left out; null, they break the server's handler, and the UI never ends."""

    deployment_id: str
    success: bool
    action: Literal["up", "down", "restart"] = "up"
    partial_success: bool = False
    services: dict[str, DeployedService] = {}
    failed_services: list[str] = []
    error: str = ""


# Everything else


class ShellData(Shape):
    session_id: str
    action: Literal["started", "data", "closed", "error"]
    data: str = ""
    error: str = ""


class ErrorMessage(Shape):
    error: Annotated[str, Field(min_length=1)]
    details: str | None = None
    container_id: ShortId | None = None


class AgentProgress(Shape):
    """The top-level `progress`, shown as progress of the agent's own update."""

    container_id: ShortId
    stage: str
    percent: int
    message: str
