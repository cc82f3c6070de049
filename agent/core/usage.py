"""Who uses an image, a network or a volume, as the engine's list of containers tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from agent.core.journal import parse_instant

Json = dict[str, Any]

SHORT_ID = 12

_YEAR_10000_S = 253_402_300_800

_ATTACHED = frozenset({"running", "paused", "restarting"})
"""States in which a container has an address in its networks; the engine removes no such network."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Containers, as `{"id": 12 characters, "name"}`, by what they use.

    `images` by image ID and `volumes` by name count every container; `networks` by network ID those attached now.
    """

    images: Mapping[str, list[Json]] = field(default_factory=dict)
    networks: Mapping[str, list[Json]] = field(default_factory=dict)
    volumes: Mapping[str, list[Json]] = field(default_factory=dict)


def usage(containers: Iterable[Mapping[str, Any]]) -> Usage:
    """Reads `GET /containers/json?all=1`. What is odd in an entry is passed over, never the entry."""
    images: dict[str, list[Json]] = {}
    networks: dict[str, list[Json]] = {}
    volumes: dict[str, list[Json]] = {}
    for container in containers:
        shown = {"id": text(container, "Id")[:SHORT_ID], "name": _name(container)}
        images.setdefault(text(container, "ImageID"), []).append(shown)
        if text(container, "State") in _ATTACHED:
            for endpoint in _object(
                _object(container.get("NetworkSettings")).get("Networks")
            ).values():
                networks.setdefault(text(_object(endpoint), "NetworkID"), []).append(shown)
        # A volume may be mounted twice in one container.
        for volume in dict.fromkeys(_volumes(container)):
            volumes.setdefault(volume, []).append(shown)
    return Usage(images, networks, volumes)


def seconds_text(instant: datetime | None) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ`, "" for None."""
    return "" if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def created_text(value: object) -> str:
    """When the engine says something was created (Unix seconds, RFC 3339) as `seconds_text`; "" if it does not say."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _YEAR_10000_S:
        return seconds_text(datetime.fromtimestamp(value, UTC))
    return seconds_text(parse_instant(value)) if isinstance(value, str) else ""


def text(item: Mapping[str, Any], key: str) -> str:
    """The text under `key`, "" if there is none."""
    value = item.get(key)
    return value if isinstance(value, str) else ""


def _name(container: Mapping[str, Any]) -> str:
    names = container.get("Names")
    first = names[0] if isinstance(names, list) and names else None
    return first.removeprefix("/") if isinstance(first, str) else text(container, "Id")[:SHORT_ID]


def _volumes(container: Mapping[str, Any]) -> Iterable[str]:
    mounts = container.get("Mounts")
    for mount in mounts if isinstance(mounts, list) else ():
        match mount:
            case {"Type": "volume", "Name": str(name)} if name:
                yield name


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
