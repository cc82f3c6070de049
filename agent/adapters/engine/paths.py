"""The paths of the engine's resources. What cannot be a name never becomes a part of one."""

from __future__ import annotations

import re
from urllib.parse import quote

from agent.adapters.engine.errors import brief
from agent.ports import NotFound

_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_IMAGE = re.compile(r"[A-Za-z0-9\[][\w.:/@\[\]-]*", re.ASCII)

_NO_SEGMENT = re.compile(r"\.{0,2}|.*[/\\\x00-\x1f\x7f].*", re.DOTALL)
"""Empty, a step in the tree, more than one step, or not printable."""


def container_path(container: str) -> str:
    if not _CONTAINER.fullmatch(container):
        raise _missing("container", container)
    return f"/containers/{container}"


def image_path(image: str) -> str:
    if not _IMAGE.fullmatch(image) or {"", ".", ".."} & set(image.split("/")):
        raise _missing("image", image)
    return f"/images/{image}"


def distribution_path(image: str) -> str:
    return f"/distribution/{quote(image_path(image).removeprefix('/images/'), safe='/:@')}/json"


def network_path(network: str) -> str:
    return f"/networks/{_segment('network', network)}"


def volume_path(volume: str) -> str:
    return f"/volumes/{_segment('volume', volume)}"


# Drivers take almost any name for a network or a volume, blanks included.
def _segment(kind: str, name: str) -> str:
    if _NO_SEGMENT.fullmatch(name):
        raise _missing(kind, name)
    return quote(name, safe="")


def _missing(kind: str, name: str) -> NotFound:
    return NotFound(brief(f"No such {kind}: {name}"), 404)
