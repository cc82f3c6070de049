"""Containers that cannot outlive another one, for they use something of it."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Moved:
    """A container that made room for its successor. IDs have 64 characters, names no slash.

    `name` is its successor's now; its own is `aside`.
    """

    old_id: str
    name: str
    aside: str
    new_id: str


def depends(inspected: Json, *, on_id: str, on_name: str) -> bool:
    """Tells whether a container uses the network, the processes or the IPC of another one, or is linked to it.

    When that one is gone, it could not be started again.

    Args:
        inspected: The container's inspection.
        on_id: 64 characters.
        on_name: Without a slash.
    """
    host = inspected.get("HostConfig") or {}
    references = [reference for _, reference in _shared(host)]
    references += [link.partition(":")[0] for link in host.get("Links") or ()]
    return any(_refers(reference, on_id, on_name) for reference in references)


def redirected(config: Json, moved: Moved) -> Json:
    """A dependent's `Recreation.config` with every reference to the old container pointing at the new one."""
    config = deepcopy(config)
    host = config.get("HostConfig") or {}
    for key, reference in list(_shared(host)):
        if _is_meant(moved, reference):
            host[key] = f"container:{moved.new_id}"
    for key, successor in (("VolumesFrom", moved.new_id), ("Links", f"/{moved.name}")):
        if entries := host.get(key):
            host[key] = [_with_reference(entry, moved, successor) for entry in entries]
    return config


def _shared(host: Json) -> Iterator[tuple[str, str]]:
    """The namespaces that are another container's, and the reference to it: a name or an ID."""
    for key in ("NetworkMode", "PidMode", "IpcMode"):
        scheme, _, reference = str(host.get(key) or "").partition(":")
        if scheme == "container" and reference:
            yield key, reference


def _with_reference(entry: str, moved: Moved, successor: str) -> str:
    """`entry` is `REFERENCE` or `REFERENCE:MORE`."""
    reference, colon, more = entry.partition(":")
    return successor + colon + more if _is_meant(moved, reference) else entry


def _is_meant(moved: Moved, reference: str) -> bool:
    # The engine tells a link by the name that its goal has now.
    return any(_refers(reference, moved.old_id, name) for name in (moved.name, moved.aside))


def _refers(reference: str, container_id: str, name: str) -> bool:
    # Less of an ID might as well be the name of a third one.
    is_id = len(reference) >= 12 and container_id.startswith(reference)
    return is_id or reference.removeprefix("/") == name
