"""From the grid of a chart's coordinates to distances."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from agent.core.chart import Point


class Axis:
    """Columns as wide as their boxes, or rows as high, with gaps between.

    Args:
        boxes: (grid coordinate, size) of each.
        gap_after: The gap between the boxes on a line of the grid and those on the next.
    """

    def __init__(self, boxes: list[Point], gap_after: Callable[[int], float]) -> None:
        lines = range(math.floor(min(boxes)[0]), math.ceil(max(boxes)[0]) + 1)
        sizes = [max((size for at, size in boxes if abs(at - n) < 1), default=0) for n in lines]
        self._first = lines[0]
        self._centres = [0.0]
        for line, (size, following) in zip(lines, pairwise(sizes), strict=False):
            self._centres.append(self._centres[-1] + size / 2 + gap_after(line) + following / 2)
        self._beyond = gap_after(lines[-1]) + max(sizes)

    def position(self, at: float) -> float:
        """Of the centre of a box there; between two lines of the grid in proportion."""
        at -= self._first
        last = len(self._centres) - 1
        if at <= 0 or at >= last:
            edge = 0 if at <= 0 else last
            return self._centres[edge] + (at - edge) * self._beyond
        before = int(at)
        share = at - before
        return self._centres[before] * (1 - share) + self._centres[before + 1] * share
