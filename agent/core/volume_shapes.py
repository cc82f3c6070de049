"""Volumes as the server lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.core.usage import Json, Usage, created_text, text


def volume_list(volumes: Iterable[Mapping[str, Any]], used: Usage) -> list[Json]:
    """`list_volumes`: by name. `volumes` are those of `GET /volumes`."""
    shown = [_volume(volume, used) for volume in volumes if text(volume, "Name")]
    return sorted(shown, key=lambda volume: str(volume["name"]))


def _volume(volume: Mapping[str, Any], used: Usage) -> Json:
    name = text(volume, "Name")
    containers = used.volumes.get(name, [])
    return {
        "name": name,
        "driver": text(volume, "Driver"),
        "mountpoint": text(volume, "Mountpoint"),
        "created": created_text(volume.get("CreatedAt")),
        "containers": containers,
        "container_count": len(containers),
        "in_use": bool(containers),
    }
