"""What the server makes of a container list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.hub.shapes import SHORT_ID_LENGTH


def read_list(result: object) -> tuple[list[dict[str, Any]], int]:
    """The usable entries of a `list_containers` result, and how many were skipped.

    A skipped entry counts as a missing container. Anything but a list is an empty one.
    """
    if not isinstance(result, list):
        return [], 0
    usable = [entry for entry in result if _is_usable(entry)]
    return usable, len(result) - len(usable)


def short_id(container: Mapping[str, Any]) -> str:
    """Of a usable entry."""
    return str(container["Id"])[:SHORT_ID_LENGTH]


def name_of(container: Mapping[str, Any]) -> str:
    """The first of an entry's names, as it is shown."""
    match container.get("Names"):
        case [str(name), *_]:
            return name.removeprefix("/")
    return "unknown"


def _is_usable(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    container_id, env = entry.get("Id"), entry.get("Env") or {}
    return (
        isinstance(container_id, str)
        and len(container_id) >= SHORT_ID_LENGTH
        and isinstance(env, dict)
        and all(isinstance(value, str) for value in env.values())
    )
