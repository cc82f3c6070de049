"""The objects that a listing consists of, and the order it comes in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

from pydantic import Field

from agent.hub.shapes import Count, Dropped, ExactId, Shape, ShapeT, read

Complain = Callable[[str], None]
Instant = Annotated[str, Field(pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?$")]
"""In UTC, to the second; empty, if nobody knows."""


class User(Shape):
    """A container that uses the object."""

    id: ExactId
    name: Annotated[str, Field(pattern="^([^/].*)?$")]


class Image(Shape):
    id: ExactId
    tags: list[str]
    size: Count
    created: Instant | None = None
    in_use: bool
    container_count: Count
    containers: list[User]
    dangling: bool


class Network(Shape):
    id: ExactId
    name: str
    driver: str
    scope: str
    created: Instant
    internal: bool
    subnet: str
    containers: list[User]
    container_count: Count
    is_builtin: bool


class Volume(Shape):
    name: str
    driver: str
    mountpoint: str
    created: Instant
    containers: list[User]
    container_count: Count
    in_use: bool


def check_images(listed: list[object], complain: Complain) -> None:
    """Newest first; an image without a date may stand anywhere."""
    dates = [image.created for image in _each(Image, listed, complain) if image.created]
    if dates != sorted(dates, reverse=True):
        complain("not the newest first")


def check_networks(listed: list[object], complain: Complain) -> None:
    """By name."""
    _by_name([network.name for network in _each(Network, listed, complain)], complain)


def check_volumes(listed: list[object], complain: Complain) -> None:
    """By name."""
    _by_name([volume.name for volume in _each(Volume, listed, complain)], complain)


def check_network(made: object, complain: Complain) -> None:
    """The one that was created."""
    list(_each(Network, [made], complain))


def _each(shape: type[ShapeT], listed: list[object], complain: Complain) -> Iterator[ShapeT]:
    """Those that are as they should be; the others are complained about."""
    for number, item in enumerate(listed):
        try:
            yield read(shape, item)
        except Dropped as dropped:
            complain(f"entry {number}: {dropped}")


def _by_name(names: list[str], complain: Complain) -> None:
    if names != sorted(names):
        complain("not sorted by name")
