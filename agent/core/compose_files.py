"""Compose files on the host: which files are some, where none is looked for, and what stands in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from agent.core.yaml_tree import Node, NotYaml, yaml_tree

MAX_FILE_BYTES = 1024 * 1024
"""Of a Compose file, and of each env file beside it."""

ENV_FILE = ".env"

_NAMES = {"docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml"}

_FORBIDDEN = tuple(
    PurePosixPath(path)
    for path in (
        *("/proc", "/sys", "/dev", "/run", "/boot", "/etc"),
        *("/bin", "/sbin", "/lib", "/lib64", "/usr/bin", "/usr/sbin", "/usr/lib"),
    )
)

_SKIPPED = {"node_modules", "vendor", "__pycache__", "venv", "dist", "build", "target"}

_DEFAULT_ROOTS = (
    *("/opt", "/srv", "/var/lib/docker-compose", "/var/lib/docker/volumes"),
    *("/stacks", "/docker", "/mnt", "/data", "/compose"),
)

_MERGES = 64


class NotCompose(Exception):
    """The text is not that of a Compose file with at least one service."""


@dataclass(frozen=True, slots=True)
class Project:
    """What a Compose file says of itself. `name` is None if it leaves that to its directory."""

    name: str | None
    services: tuple[str, ...]


# --- Where


def is_compose_name(name: str) -> bool:
    return name.lower() in _NAMES


def is_worth_a_look(directory: str) -> bool:
    """Whether a directory of this name may hold projects of the user's own."""
    return not directory.startswith(".") and directory not in _SKIPPED


def is_allowed(path: PurePosixPath) -> bool:
    """Whether `path` is outside of what belongs to the system. It must be absolute and free of links."""
    return path.is_absolute() and not any(path.is_relative_to(each) for each in _FORBIDDEN)


def search_roots(paths: Sequence[str], home: str) -> list[PurePosixPath]:
    """Where to look: what was asked for first, then the usual places; what is absolute only, each once.

    What lies inside of another comes before it: the depth is counted from there.
    """
    roots: dict[PurePosixPath, None] = {}
    usual = (*_DEFAULT_ROOTS, home) if home != "/" else _DEFAULT_ROOTS
    for group in (paths, usual):
        absolute = [PurePosixPath(path) for path in group if path.startswith("/")]
        roots |= dict.fromkeys(sorted(absolute, key=lambda path: -len(path.parts)))
    return list(roots)


# --- What


def project(text: str) -> Project:
    """Reads a Compose file.

    Raises:
        NotCompose: It is none.
    """
    whole = _tree(text)
    services = tuple(_services(whole))
    if not services:
        raise NotCompose("no services")
    name = _value(whole, "name")
    # A name made of variables is known to Compose alone.
    is_known = isinstance(name, str) and name and "$" not in name
    return Project(str(name) if is_known else None, services)


def env_references(text: str) -> list[str]:
    """What the services' `env_file` name, in order, each once; nothing if `text` is no Compose file."""
    try:
        services = _services(_tree(text))
    except NotCompose:
        return []
    references: dict[str, None] = {}
    for service in services.values():
        named = _value(service, "env_file")
        for item in named if isinstance(named, list) else [named]:
            path = item.get("path") if isinstance(item, dict) else item
            if isinstance(path, str) and path:
                references[path] = None
    return list(references)


def beside(reference: str) -> str | None:
    """The name of the file that `reference` means if it lies in the Compose file's own directory, else None."""
    while reference.startswith("./"):
        reference = reference[2:].lstrip("/")
    if reference in ("", ".", "..") or set("/$\0") & set(reference):
        return None
    return reference


def _tree(text: str) -> Node:
    try:
        return yaml_tree(text)
    except NotYaml as error:
        raise NotCompose(str(error)) from None


def _services(whole: Node) -> dict[str, Node]:
    services = _value(whole, "services")
    if not isinstance(services, dict):
        return {}
    return {name: service for name, service in services.items() if name != "<<"}


def _value(node: Node, key: str) -> Node:
    """What a mapping has under `key`, itself or by a merge; "" for nothing."""
    waiting = [node]
    # Merges of merges can be made to multiply: only so many are looked at.
    for _ in range(_MERGES):
        if not waiting:
            break
        mapping = waiting.pop(0)
        if isinstance(mapping, dict):
            if key in mapping:
                return mapping[key]
            merged = mapping.get("<<", "")
            waiting[:0] = merged[:_MERGES] if isinstance(merged, list) else [merged]
    return ""
