"""What the server makes of a container list."""

from __future__ import annotations

from typing import Any

SHORT_ID_LENGTH = 12


def read_list(result: object) -> tuple[list[dict[str, Any]], int]:
    """The usable entries of a `list_containers` result, and how many were skipped.

    A skipped entry counts as a missing container. Anything but a list is an empty one.
    """
    if not isinstance(result, list):
        return [], 0
    usable = [entry for entry in result if _is_usable(entry)]
    return usable, len(result) - len(usable)


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
