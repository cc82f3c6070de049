"""What the server makes of a container event."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NotRequired, TypedDict

logger = logging.getLogger(__name__)

SHORT_ID_LENGTH = 12


class ContainerEvent(TypedDict):
    """The effect a `container_event` had. `at` is loop time in seconds.

    `state` is what the container is shown as from then on; None: it is gone.
    """

    at: float
    container_id: str
    container_name: str
    effect: str
    state: str | None
    exit_code: NotRequired[int]


def read_event(frame: Mapping[str, object], at: float) -> ContainerEvent | None:
    """The effect of a frame that is a `container_event`; None: it has none, or is no such thing."""
    if frame.get("type") != "event" or frame.get("command") != "container_event":
        return None
    payload = frame.get("payload")
    if not isinstance(payload, dict):
        logger.error("a container_event was dropped: its payload is no object")
        return None
    container_id = str(payload.get("container_id") or "")[:SHORT_ID_LENGTH]
    if len(container_id) != SHORT_ID_LENGTH:
        logger.error("a container_event was dropped: its container_id is too short")
        return None
    exit_code = _exit_code(payload)
    state: str | None
    match payload.get("action"):
        case "start":
            effect, state = "started", "running"
        case "restart":
            effect, state = "restarted", "running"
        case "die" if exit_code == 0:
            effect, state = "stopped", "stopped"
        case "die":
            effect, state = "died", "exited"
        case "destroy":
            effect, state = "deleted", None
        case _:
            return None
    event = ContainerEvent(
        at=at,
        container_id=container_id,
        container_name=str(payload.get("container_name") or container_id),
        effect=effect,
        state=state,
    )
    if payload["action"] == "die":
        event["exit_code"] = exit_code
    return event


def _exit_code(payload: Mapping[str, object]) -> int:
    """Missing or unreadable is 0, as on the server."""
    attributes = payload.get("attributes")
    if not isinstance(attributes, dict):
        return 0
    try:
        return int(attributes.get("exitCode", 0))
    except (TypeError, ValueError):
        return 0
