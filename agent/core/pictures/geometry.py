"""Rectangles and lines parallel to the axes. y grows downwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from agent.core.chart import Point


@dataclass(frozen=True, slots=True)
class Rect:
    """A line is one without width or height."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def around(cls, points: Iterable[Point]) -> Self:
        xs, ys = zip(*points, strict=True)
        return cls(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def centre(self) -> Point:
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def corners(self) -> tuple[Point, Point]:
        return (self.x, self.y), (self.right, self.bottom)

    def grown(self, by: Point) -> Rect:
        dx, dy = by
        return Rect(self.x - dx, self.y - dy, self.width + 2 * dx, self.height + 2 * dy)

    def moved(self, by: Point) -> Rect:
        return Rect(self.x + by[0], self.y + by[1], self.width, self.height)

    def overlaps(self, other: Rect) -> bool:
        """Touching is not overlapping."""
        return (
            self.x < other.right
            and other.x < self.right
            and self.y < other.bottom
            and other.y < self.bottom
        )


def segments(points: Iterable[Point]) -> list[Rect]:
    """The straight pieces of a line through `points`, in order."""
    return [Rect.around(ends) for ends in pairwise(points)]


def cross(one: Rect, other: Rect) -> bool:
    """Whether two segments, one upright and one level, meet between their ends."""
    if (one.width == 0) is (other.width == 0):
        return False
    upright, level = (one, other) if one.width == 0 else (other, one)
    return level.x < upright.x < level.right and upright.y < level.y < upright.bottom


def lie_together(one: Rect, other: Rect, apart: Point) -> bool:
    """Whether two parallel segments run beside each other, nearer than `apart`."""
    if (one.width == 0) is not (other.width == 0):
        return False
    dx, dy = apart
    return one.grown((dx, 0) if one.width == 0 else (0, dy)).overlaps(other)
