"""What the server makes of a container event."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from agent.hub.event_log import EventLog
from agent.hub.host import Host
from agent.hub.shapes import SHORT_ID_LENGTH, ContainerEventShape, Dropped, read

EVENTS_PER_HOST = 10_000


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


class ContainerEvents:
    """Those that had an effect, the newest ten thousand of each host."""

    def __init__(self, log: EventLog) -> None:
        self._events: dict[str, deque[ContainerEvent]] = {}
        self._log = log

    def take(self, host: Host, payload: Any) -> None:
        """Keeps the effect of an event that came now.

        Raises:
            Dropped: Its ID is none; or something else is odd about it, then it has its effect all the same.
        """
        event = effect_of(payload, asyncio.get_running_loop().time())
        if event is not None:
            events = self._events.setdefault(host.id, deque(maxlen=EVENTS_PER_HOST))
            events.append(event)
            text = f"{event['container_name']} {event['effect']}"
            self._log.add(host.id, "container", text, event["container_id"])
        read(ContainerEventShape, payload)

    def of(self, host_id: str) -> list[ContainerEvent]:
        """In order of arrival."""
        return list(self._events.get(host_id, ()))


def read_event(frame: Mapping[str, object], at: float) -> ContainerEvent | None:
    """The effect of a frame that is a `container_event`; None: it has none, or is no such thing."""
    if frame.get("type") != "event" or frame.get("command") != "container_event":
        return None
    try:
        return effect_of(frame.get("payload"), at)
    except Dropped:
        return None


def effect_of(payload: object, at: float) -> ContainerEvent | None:
    """The effect of a payload; None: its action has none.

    Raises:
        Dropped: It is no object, or its ID is too short.
    """
    if not isinstance(payload, dict):
        raise Dropped("the payload is no object")
    container_id = str(payload.get("container_id") or "")[:SHORT_ID_LENGTH]
    if len(container_id) != SHORT_ID_LENGTH:
        raise Dropped("the container_id is too short")
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
