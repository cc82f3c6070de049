"""What the server can ask of an agent, and how long it waits for each answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal["command", "container_operation"]

COMMAND_TIMEOUTS_S: Mapping[str, float] = {
    "list_containers": 30,
    "list_images": 30,
    "list_networks": 30,
    "list_volumes": 30,
    "create_network": 30,
    "create_volume": 30,
    "get_system_info": 10,
    "prune_images": 120,
    "remove_image": 60,
    "delete_network": 60,
    "delete_volume": 60,
    "prune_networks": 60,
    "prune_volumes": 60,
    "scan_compose_dirs": 60,
    "read_compose_file": 30,
    # These three bound the acknowledgement only.
    "update_container": 180,
    "deploy_compose": 1800,
    "self_update": 150,
}

ACTION_TIMEOUTS_S: Mapping[str, float] = {
    "start": 30,
    "restart": 30,
    "kill": 30,
    "rename": 30,
    "remove": 30,
    "get_logs": 30,
    "inspect": 15,
    # The server knows these and asks for none of them today.
    "pull_image": 1800,
    "create": 60,
    "get_status": 15,
    "list_networks": 15,
    "create_network": 30,
    "list_volumes": 15,
    "create_volume": 30,
    "validate_ports": 15,
}

STOP_MARGIN_S = 20.0
"""Over the container's own stop timeout."""

VERIFY_MARGIN_S = 10.0
"""Over the wait that `verify_running` was asked for."""

UNKNOWN_TIMEOUT_S = 30.0
"""For a name that no server sends: how an agent answers one is worth asking, too."""

ACTIONS = ACTION_TIMEOUTS_S.keys() | {"stop", "verify_running"}
"""All of them; how long these two take is in their payload."""


def kind_of(name: str) -> Kind:
    """How `name` travels. Where both kinds have it, or neither, it is a command, as the server sends it."""
    return "container_operation" if name in ACTIONS - COMMAND_TIMEOUTS_S.keys() else "command"


def timeout_s(kind: Kind, name: str, payload: Mapping[str, Any]) -> float:
    """The seconds the server waits for the reply."""
    if kind == "command":
        return COMMAND_TIMEOUTS_S.get(name, UNKNOWN_TIMEOUT_S)
    if name == "stop":
        return float(payload.get("timeout", 10)) + STOP_MARGIN_S
    if name == "verify_running":
        return float(payload["max_wait_seconds"]) + VERIFY_MARGIN_S
    return ACTION_TIMEOUTS_S.get(name, UNKNOWN_TIMEOUT_S)


def frame(kind: Kind, name: str, payload: Mapping[str, Any] | None, id: str) -> dict[str, Any]:  # noqa: A002  the wire's word
    """The request as sent. `list_containers` has no `payload` key; other bare commands carry `{}`."""
    ids = {"id": id, "correlation_id": id}
    if kind == "container_operation":
        return {"type": kind, "payload": {"action": name, **(payload or {})}, **ids}
    if payload is None and name == "list_containers":
        return {"type": kind, "command": name, **ids}
    return {"type": kind, "command": name, "payload": dict(payload or {}), **ids}
