"""Leads arrows from box to box: level and upright pieces, around the boxes, not on top of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from agent.core.chart import Point
from agent.core.pictures.geometry import Rect, cross, lie_together, segments

Path = tuple[Point, ...]
End = tuple[str, "Side", float]
"""(state, side, coordinate along that side)"""

Snap = Callable[[float], float]

_BEND_COSTS, _LANE_COSTS, _CROSSING_COSTS = 0.4, 0.3, 4.0  # in gaps between two boxes

_SQUEEZED = 0.7
"""At a box arrows may be nearer to each other than elsewhere, by this factor."""


class NoRoom(Exception):
    """Nothing can be drawn there without touching something else."""


@dataclass(frozen=True, slots=True)
class Side:
    """A border of a box. `axis` is the direction (0: x, 1: y) in which an arrow leaves it, towards `sign`."""

    name: str
    axis: int
    sign: int


LEFT, RIGHT = Side("left", 0, -1), Side("right", 0, 1)
TOP, BOTTOM = Side("top", 1, -1), Side("bottom", 1, 1)


def _facing(axis: int, towards: float) -> Side:
    return {(0, True): RIGHT, (0, False): LEFT, (1, True): BOTTOM, (1, False): TOP}[
        axis, towards > 0
    ]


def _span(box: Rect, axis: int) -> tuple[float, float]:
    low, high = box.corners
    return low[axis], high[axis]


def _border(box: Rect, side: Side) -> float:
    return _span(box, side.axis)[side.sign > 0]


def _point(axis: int, along: float, across: float) -> Point:
    return (along, across) if axis == 0 else (across, along)


@dataclass(frozen=True, slots=True)
class _Way:
    """Leave by a side, along streets whose coordinates alternate between the axes, enter by a side."""

    leave: Side
    enter: Side
    streets: tuple[float, ...]
    lanes: int = 0

    @property
    def cost(self) -> float:
        """Of not being in the middle of the street."""
        return _LANE_COSTS * self.lanes


@dataclass(slots=True)
class Router:
    """Remembers what is taken. Called in the order of importance: who comes first goes straight.

    Args:
        boxes: The states' boxes.
        gap: The least distance between two boxes, the measure of what is far.
        apart: The least distance between two arrows side by side.
        clear: The least distance between an arrow and a box that it passes.
        corner: The least distance between the end of an arrow and a corner of its box.
        snap: Puts a coordinate where a line can be.
    """

    boxes: Mapping[str, Rect]
    gap: Point
    apart: Point
    clear: Point
    corner: Point
    snap: Snap
    lines: list[Rect] = field(default_factory=list)
    _taken: dict[tuple[str, Side], list[float]] = field(default_factory=dict)
    _slots: dict[tuple[str, Side], list[float]] = field(default_factory=dict)

    def straight(self, source: str, target: str, *, two_way: bool) -> Path | None:
        """The shortest arrow there is, if the two boxes see each other.

        Of two-way traffic, what goes right is above what goes left, what goes down left of what goes up.
        """
        a, b = self.boxes[source], self.boxes[target]
        for axis in (0, 1):
            across = 1 - axis
            low = max(_span(a, across)[0], _span(b, across)[0]) + self.corner[across]
            high = min(_span(a, across)[1], _span(b, across)[1]) - self.corner[across]
            if high - low < (self.apart[across] if two_way else 0):
                continue
            side = _facing(axis, b.centre[axis] - a.centre[axis])
            offset = side.sign * self.apart[across] / 2 if two_way else 0
            at = self.snap((low + high) / 2 - offset)
            back = _facing(axis, -side.sign)
            path = (
                _point(axis, _border(a, side), at),
                _point(axis, _border(b, back), at),
            )
            if self._is_free(path, source, target):
                self.take(path, (source, side, at), (target, back, at))
                return path
        return None

    def around(self, source: str, target: str, via: Point | None) -> Path:
        """The best arrow with bends; through `via` if given.

        Raises:
            NoRoom: Every way leads through a box or along another arrow.
        """
        best: tuple[float, Path, tuple[End, End]] | None = None
        for ways in (self._short_ways, self._long_ways):
            for way in ways(source, target, via):
                if (drawn := self._drawn(source, target, way)) is not None:
                    path, ends = drawn
                    cost = self._cost(path) + way.cost
                    if best is None or cost < best[0]:
                        best = cost, path, ends
            if best is not None:
                _, path, ends = best
                self.take(path, *ends)
                return path
        raise NoRoom(f"no way for an arrow from {source!r} to {target!r}")

    def ports(self, state: str, side: Side) -> list[float]:
        """Where on `side` an arrow may still begin or end, the middle first."""
        if (state, side) not in self._slots:
            self._slots[state, side] = self._all_ports(state, side)
        apart = self.apart[1 - side.axis] * _SQUEEZED
        taken = self._taken.get((state, side), [])
        return [
            at
            for at in self._slots[state, side]
            if all(abs(at - other) >= apart for other in taken)
        ]

    def _all_ports(self, state: str, side: Side) -> list[float]:
        across = 1 - side.axis
        low, high = _span(self.boxes[state], across)
        low, high = low + self.corner[across], high - self.corner[across]
        middle, step = (low + high) / 2, self.apart[across] / 2
        offsets = [sign * k * step for k in range(int((high - low) / step) + 1) for sign in (1, -1)]
        slots = (self.snap(at) for at in (*(middle + by for by in offsets), low, high))
        return [at for at in dict.fromkeys(slots) if low <= at <= high]

    def take(self, path: Path, *ends: End) -> None:
        """From now on nothing else may lie on `path` or end at `ends`."""
        self.lines += segments(path)
        for state, side, at in ends:
            self._taken.setdefault((state, side), []).append(at)

    def touches(self, path: Path, own: Iterable[str] = ()) -> bool:
        """Whether `path` meets a box other than its `own`, or any arrow."""
        return any(
            piece.grown(self.clear).overlaps(box)
            for piece in segments(path)
            for name, box in self.boxes.items()
            if name not in own
        ) or any(
            piece.grown(self.clear).overlaps(line)
            for piece in segments(path)
            for line in self.lines
        )

    def _port(self, state: str, side: Side, desired: float) -> float | None:
        return min(self.ports(state, side), key=lambda at: abs(at - desired), default=None)

    def _drawn(self, source: str, target: str, way: _Way) -> tuple[Path, tuple[End, End]] | None:
        """The line, if nothing is in its way."""
        a, b = self.boxes[source], self.boxes[target]
        # With two bends each end seeks the other's side; else it may as well stay in the middle.
        one, other = (b, a) if len(way.streets) == 1 else (a, b)
        begin = self._port(source, way.leave, one.centre[1 - way.leave.axis])
        end = self._port(target, way.enter, other.centre[1 - way.enter.axis])
        if begin is None or end is None:
            return None
        path = _bent(
            _point(way.leave.axis, _border(a, way.leave), begin),
            _point(way.enter.axis, _border(b, way.enter), end),
            way,
        )
        if path is None or not self._is_free(path, source, target):
            return None
        return path, ((source, way.leave, begin), (target, way.enter, end))

    def _short_ways(self, source: str, target: str, via: Point | None) -> Iterator[_Way]:
        """With one bend or two."""
        a, b = self.boxes[source].centre, self.boxes[target].centre
        for axis in (0, 1):
            across = 1 - axis
            near = Rect(*_point(axis, b[axis], a[across]), 0, 0)
            if via is None or near.grown((self.gap[0] / 2, self.gap[1] / 2)).overlaps(
                Rect(*via, 0, 0)
            ):
                leave = _facing(axis, b[axis] - a[axis])
                yield _Way(leave, _facing(across, a[across] - b[across]), ())
            for street, lane in self._streets(axis, via):
                leave, enter = _facing(axis, street - a[axis]), _facing(axis, street - b[axis])
                yield _Way(leave, enter, (street,), abs(lane))

    def _long_ways(self, source: str, target: str, via: Point | None) -> Iterator[_Way]:
        """With three bends."""
        a, b = self.boxes[source].centre, self.boxes[target].centre
        for axis in (0, 1):
            across = 1 - axis
            for street, lane in self._streets(axis, via):
                for avenue, its_lane in self._streets(across, via):
                    leave = _facing(axis, street - a[axis])
                    enter = _facing(across, avenue - b[across])
                    yield _Way(leave, enter, (street, avenue), abs(lane) + abs(its_lane))

    def _streets(self, axis: int, via: Point | None) -> Iterator[tuple[float, int]]:
        """(coordinate, lane) of the streets between the boxes, and beside all of them."""
        if via is not None:
            middles = [via[axis]]
        else:
            spans = sorted(_span(box, axis) for box in self.boxes.values())
            edge = spans[0][0]
            middles = [edge - self.gap[axis] / 2]
            edge = spans[0][1]
            for low, high in spans:
                if low > edge:
                    middles.append((edge + low) / 2)
                edge = max(edge, high)
            middles.append(edge + self.gap[axis] / 2)
        for middle in middles:
            for lane in (0, 1, -1, 2, -2):
                yield self.snap(middle + lane * self.apart[axis]), lane

    def _is_free(self, path: Path, source: str, target: str) -> bool:
        pieces = segments(path)
        for index, piece in enumerate(pieces):
            for name, box in self.boxes.items():
                at_home = (name == source and index == 0) or (
                    name == target and index == len(pieces) - 1
                )
                if (piece if at_home else piece.grown(self.clear)).overlaps(box):
                    return False
            if any(lie_together(piece, line, self._squeezed) for line in self.lines):
                return False
        return True

    @property
    def _squeezed(self) -> Point:
        return self.apart[0] * _SQUEEZED * 0.99, self.apart[1] * _SQUEEZED * 0.99

    def _cost(self, path: Path) -> float:
        pieces = segments(path)
        crossings = sum(cross(piece, line) for piece in pieces for line in self.lines)
        far = sum(piece.width / self.gap[0] + piece.height / self.gap[1] for piece in pieces)
        return far + _BEND_COSTS * (len(pieces) - 1) + _CROSSING_COSTS * crossings


def _bent(begin: Point, end: Point, way: _Way) -> Path | None:
    """The line along `way`, or None where it would have to turn back into a box."""
    at = list(begin)
    path = [begin]
    axis = way.leave.axis
    for street in (*way.streets, None):
        at[axis] = end[axis] if street is None else street
        path.append((at[0], at[1]))
        axis = 1 - axis
    path.append(end)
    outward = (path[1][way.leave.axis] - begin[way.leave.axis]) * way.leave.sign
    inward = (path[-2][way.enter.axis] - end[way.enter.axis]) * way.enter.sign
    if outward <= 0 or inward <= 0:
        return None
    return tuple(dict.fromkeys(path))
