"""What the server makes of the result of each request: how much it forgives, and where it stumbles."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from agent.clock import utcnow
from agent.core.rfc3339 import rfc3339
from agent.hub import listings
from agent.hub.answers import FAILED, OK, Answer
from agent.hub.inventory import read_list
from agent.hub.listings import Complain
from agent.hub.shapes import Count, Dropped, Shape, read

Reader = Callable[[Any, Complain], Any]
"""The body made of a result. Raises Stumbled where the server answers 500."""


class Stumbled(Exception):
    """The server's own code fails on the result."""


def answer(name: str, result: Any, complain: Complain) -> Answer:
    """The answer made of a successful reply to the request `name`; what is odd about it goes to `complain`."""
    reader = READERS.get(name)
    if reader is None:
        return Answer(OK, result)
    try:
        return Answer(OK, reader(result, complain))
    except Stumbled as stumbled:
        complain(f"the server fails on it: {stumbled}")
        return Answer(FAILED, detail=str(stumbled))


# Listings


def _containers(result: Any, complain: Complain) -> list[Any]:
    if not isinstance(result, list):
        complain("no list: the host is shown without containers")
    usable, skipped = read_list(result)
    if skipped:
        complain(f"{skipped} containers were skipped, and count as missing")
    return usable


def _listing(check: Callable[[list[object], Complain], None], *, may_be_null: bool) -> Reader:
    def reader(result: Any, complain: Complain) -> list[object]:
        if may_be_null and not result:
            result = []
        if not isinstance(result, list):
            raise Stumbled(f"a list was expected, not {type(result).__name__}")
        check(result, complain)
        return result

    return reader


# Changes


class _PruneCounts(Shape):
    removed_count: Count = 0
    space_reclaimed: Count = 0


class _PrunedNetworks(Shape):
    removed_count: Count = 0
    networks_removed: list[str] = Field(default_factory=list)


class _PrunedVolumes(_PruneCounts):
    volumes_removed: list[str] = Field(default_factory=list)


def _shaped(shape: type[Shape]) -> Reader:
    """What is missing is nothing; what is no such thing is a 500."""

    def reader(result: Any, complain: Complain) -> dict[str, Any]:
        try:
            return read(shape, result).model_dump()
        except Dropped as dropped:
            raise Stumbled(str(dropped)) from None

    return reader


def _network(result: Any, complain: Complain) -> Any:
    listings.check_network(result, complain)
    return result


# Single containers


def read_logs(reply: Any, now: datetime, complain: Complain) -> list[dict[str, str]]:
    """The lines of a `get_logs` reply, with the instant of each; `now` for one that does not say."""
    text = reply.get("logs") or "" if isinstance(reply, dict) else ""
    if not isinstance(text, str):
        raise Stumbled(f"the logs are no text, but {type(text).__name__}")
    lines: list[dict[str, str]] = []
    for line in filter(str.strip, text.split("\n")):
        stamp, _, said = line.partition(" ")
        if "T" in stamp and stamp.endswith("Z"):
            lines.append({"timestamp": _to_microseconds(stamp), "log": said})
        else:
            complain(f"a log line has no time: {line[:40]!r}")
            lines.append({"timestamp": rfc3339(now), "log": line})
    return lines


def _logs(result: Any, complain: Complain) -> list[dict[str, str]]:
    return read_logs(result, utcnow(), complain)


def _to_microseconds(stamp: str) -> str:
    return re.sub(r"(\.\d{6})\d+Z$", r"\1Z", stamp)


def _inspected(result: Any, complain: Complain) -> Any:
    container = result.get("container") if isinstance(result, dict) else None
    if not isinstance(container, dict):
        complain("an inspect without its `container`")
    return container


# The host


class _Facts(Shape):
    os_type: str | None = None
    os_version: str | None = None
    kernel_version: str | None = None
    docker_version: str | None = None
    daemon_started_at: str | None = None
    total_memory: Count | None = None
    num_cpus: Count | None = None


class _SystemInfo(Shape):
    result: _Facts


# Compose files


class _Found(Shape):
    path: str
    project_name: str
    services: list[str]
    size: Count
    modified: str


class _Scan(Shape):
    compose_files: list[_Found] | None = None


def _scan(result: Any, complain: Complain) -> dict[str, Any]:
    """`success` and `error` are not read here. Every `modified` is made to end in `Z`, whatever it ended in."""
    try:
        found = read(_Scan, result).compose_files or []
    except Dropped as dropped:
        raise Stumbled(str(dropped)) from None
    if isinstance(result, dict) and (result.get("error") or result.get("success") is False):
        complain("a failed scan is shown as a success")
    files = [file.model_dump() for file in found]
    for file in files:
        if not file["modified"].endswith("Z"):
            file["modified"] += "Z"
        try:
            datetime.fromisoformat(file["modified"])
        except ValueError:
            complain(f"{file['path']} was modified at no instant: {file['modified']}")
    return {"compose_files": files}


class _ComposeFile(Shape):
    success: bool
    path: str = ""
    content: str | None = None
    env_content: str | None = None
    env_files: dict[str, str] = Field(default_factory=dict)
    skipped_env_files: list[str] | None = None
    error: str | None = None


READERS: Mapping[str, Reader] = {
    "list_containers": _containers,
    "list_images": _listing(listings.check_images, may_be_null=True),
    "list_networks": _listing(listings.check_networks, may_be_null=True),
    "list_volumes": _listing(listings.check_volumes, may_be_null=False),
    "prune_images": _shaped(_PruneCounts),
    "prune_networks": _shaped(_PrunedNetworks),
    "prune_volumes": _shaped(_PrunedVolumes),
    "create_network": _network,
    "get_logs": _logs,
    "inspect": _inspected,
    "get_system_info": _shaped(_SystemInfo),
    "scan_compose_dirs": _scan,
    "read_compose_file": _shaped(_ComposeFile),
}
"""The others need nothing but a success; the result passes through."""
