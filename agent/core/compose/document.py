"""The project as `docker compose config` prints it: one JSON object, every value in it final, every path absolute."""

from __future__ import annotations

import copy
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


class UnusableStack(ValueError):
    """The project cannot be deployed from here. The text says what and where, for the user."""


@dataclass(frozen=True, slots=True)
class HostPaths:
    """Where the host has what we call by a path of our own.

    Attributes:
        stacks_dir: The directory of all stacks, as we see it.
        host_stacks_dir: The same as the host sees it, if somebody told us: that wins.
        mounts: (destination, source on the host) of each mount of our container; None if we run in none.
    """

    stacks_dir: str
    host_stacks_dir: str | None = None
    mounts: tuple[tuple[str, str], ...] | None = None

    def of(self, path: str) -> str | None:
        """The host's path for `path`, or None if it is in our container only."""
        if self.host_stacks_dir is not None and _is_in(path, self.stacks_dir):
            return _moved(path, self.stacks_dir, self.host_stacks_dir)
        if self.mounts is None:
            return path
        over = [mount for mount in self.mounts if _is_in(path, mount[0])]
        if not over:
            return None
        destination, source = max(over, key=lambda mount: len(mount[0].rstrip("/")))
        return _moved(path, destination, source) if source else None


def mounts_of(inspected: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(destination, source on the host) of each mount of a container."""
    return tuple(
        (str(mount.get("Destination") or ""), str(mount.get("Source") or ""))
        for mount in inspected.get("Mounts") or ()
    )


def images(document: Json) -> dict[str, str]:
    """The image of each service by its name, "" for one that is built."""
    return {name: str(service.get("image") or "") for name, service in _items(document, "services")}


def container_names(document: Json) -> dict[str, str]:
    """The service of each container whose name the project gives."""
    named = (
        (name, service.get("container_name")) for name, service in _items(document, "services")
    )
    return {str(container): name for name, container in named if container}


def built(document: Json) -> list[str]:
    """The services whose image would be built here."""
    return [name for name, service in _items(document, "services") if service.get("build")]


def located(document: Json, *, staged: str, stored: str, hosts: HostPaths) -> Json:
    """A copy of `document` in which each path in the stacks' directory is the host's own.

    Other paths are the host's as they stand: whoever wrote them never saw our file system.

    Args:
        staged: The directory that relative paths were resolved against.
        stored: The directory they are meant in.

    Raises:
        UnusableStack: A path leads to what the engine's host does not have.
    """
    placed = copy.deepcopy(document)
    for where, holder, key in _paths(placed):
        path = str(holder[key])
        if _is_in(path, f"{staged}/~"):
            raise UnusableStack(
                f"{where}: write the whole path instead of ~, which is nobody's here"
            )
        if _is_in(path, staged):
            path = _moved(path, staged, stored)
        if not _is_in(path, hosts.stacks_dir):
            continue
        found = hosts.of(path)
        if found is None:
            raise UnusableStack(
                f"{where}: {path} is in the agent's own container only; mount the stacks directory "
                f"from the host, set HOST_STACKS_DIR, or write an absolute path of the host"
            )
        holder[key] = found
    return placed


def _paths(document: Json) -> Iterator[tuple[str, Json, str]]:
    """(where, object, key) of each path that the engine is to mount."""
    for name, service in _items(document, "services"):
        for volume in service.get("volumes") or ():
            if isinstance(volume, dict) and volume.get("type") == "bind" and volume.get("source"):
                yield f"service {name}", volume, "source"
    for kind in ("secrets", "configs"):
        for name, source in _items(document, kind):
            if source.get("file"):
                yield f"{kind} {name}", source, "file"
    for name, volume in _items(document, "volumes"):
        options = volume.get("driver_opts")
        if isinstance(options, dict) and "bind" in str(options.get("o")) and options.get("device"):
            yield f"volume {name}", options, "device"


def _items(document: Json, kind: str) -> Iterator[tuple[str, Json]]:
    for name, item in (document.get(kind) or {}).items():
        if isinstance(item, dict):
            yield name, item


def _is_in(path: str, directory: str) -> bool:
    directory = directory.rstrip("/")
    return path == directory or path.startswith(f"{directory}/")


def _moved(path: str, old: str, new: str) -> str:
    rest = path[len(old.rstrip("/")) :].lstrip("/")
    return posixpath.join(new, rest) if rest else new
