"""Where everything in a picture of a chart goes. Knows no format: a `Scale` says how large things are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from agent.core.chart import Chart, Point
from agent.core.pictures.geometry import Rect, segments
from agent.core.pictures.grid import Axis
from agent.core.pictures.routes import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    End,
    NoRoom,
    Path,
    Router,
    Side,
)
from agent.core.pictures.wording import Connection, Line, connections, length

_SPREADS = tuple(
    (1.2**across, 1.2 ** (steps - 2 * across))
    for steps in range(6)
    for across in range(steps // 2 + 1)
)
"""Where words find no room, the boxes move apart by these factors, downwards before sideways."""

_COMMON_FROM = (4, 3, 2)
"""What leads from so many states to the same one is drawn once, beside its target; the less room, the more of it."""

_CROWD_COSTS = 20
"""Words rather move to another place than stand where they might seem another arrow's: so many places away."""

_START_COSTS = {"left": 0.0, "top": 0.06, "bottom": 0.12, "right": 0.15}
"""One reads from the left and from the top, so there a picture begins, unless it grows by more than such a share."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large things are, in the unit of a format: pixels, or cells of a terminal."""

    char: Point  # width and height of one character of a label
    padding: Point  # between a box and its words
    gap: Point  # the least distance between boxes
    apart: Point  # between arrows side by side
    clear: Point  # between an arrow and a box that it passes
    corner: Point  # between the end of an arrow and a corner of its box
    beside: Point  # between an arrow and its words
    stub: Point  # length of an arrow that comes from no box
    loop: Point  # how far an arrow from a state to itself reaches out
    dot: Point  # size of the dot where everything begins
    head_height: float  # of a state's name
    head_char_width: float
    margin: Point
    in_cells: bool = False

    def line_at(self, coordinate: float) -> float:
        """The nearest place for a line: on a pixel, in the middle of a cell."""
        return math.ceil(coordinate) - 0.5 if self.in_cells else self.edge_at(coordinate)

    def edge_at(self, coordinate: float) -> float:
        """The nearest place for the border of a rectangle. Halves go up, so that equal gaps stay equal."""
        return float(math.floor(coordinate + 0.5))


Text = tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """What a picture says: in a box below the state's name, and at an arrow: the best first, then what is smaller."""

    inside: Callable[[Chart, str], Text]
    beside: Callable[[Chart, Connection], tuple[Text, ...]]


@dataclass(frozen=True, slots=True)
class Box:
    state: str
    area: Rect
    lines: Text


@dataclass(frozen=True, slots=True)
class Label:
    """`align` is the side towards which its lines are aligned: start, middle or end."""

    area: Rect
    lines: Text
    align: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """`points` begin at a box or, for what comes from many states, beside the target; they end at its border."""

    connection: Connection
    points: Path
    label: Label


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything lies within (0, 0) and `size`. `start` leads from the dot to the initial state."""

    size: Point
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    start: Path


_Choice = tuple[Arrow, tuple[End, ...]]


def layout(
    chart: Chart, scale: Scale, words: Words, within: Point = (math.inf, math.inf)
) -> Layout:
    """Puts boxes on the chart's grid, arrows between their borders, and words where nothing else is.

    Args:
        within: The picture's greatest width and height.

    Raises:
        NoRoom: Even far apart something would overlap; the text says what. Change `at` or `via`.
    """
    inside = {name: words.inside(chart, name) for name in chart.states}
    full = NoRoom("there is no room")
    for common_from in _COMMON_FROM:
        beside = {c: words.beside(chart, c) for c in connections(chart, common_from=common_from)}
        for texts in ({c: variants[:1] for c, variants in beside.items()}, beside):
            for spread in _SPREADS:
                try:
                    return _Drawing(chart, scale, inside, texts, spread).finished(within)
                except NoRoom as error:
                    full = error
    raise NoRoom(f"{chart.name}: {full}; change 'at' or 'via' of a state")


class _Drawing:
    """One attempt, with boxes `spread` times as far apart as is the least."""

    def __init__(
        self,
        chart: Chart,
        scale: Scale,
        inside: Mapping[str, Text],
        texts: Mapping[Connection, tuple[Text, ...]],
        spread: Point,
    ) -> None:
        self._chart, self._scale, self._texts = chart, scale, texts
        sizes = {name: self._box_size(name, lines) for name, lines in inside.items()}
        width = max(size[0] for size in sizes.values())
        states = chart.states.items()
        self._gap = scale.gap[0] * spread[0], scale.gap[1] * spread[1]
        self._columns = Axis([(s.at[0], width) for _, s in states], self._gaps(0, spread))
        self._rows = Axis([(s.at[1], sizes[n][1]) for n, s in states], self._gaps(1, spread))
        self._boxes = {
            name: Box(name, self._box_area(state.at, (width, sizes[name][1])), inside[name])
            for name, state in states
        }
        self._router = Router(
            {name: box.area for name, box in self._boxes.items()},
            self._gap,
            scale.apart,
            scale.clear,
            scale.corner,
            scale.line_at,
        )
        self._words: list[Rect] = []

    def finished(self, within: Point) -> Layout:
        for one, other in combinations(self._boxes.values(), 2):
            if one.area.grown(self._scale.clear).overlaps(other.area):
                raise NoRoom(f"{one.state!r} lies on {other.state!r}")
        self._fits(within)
        paths = self._paths()
        # Short arrows leave the least choice where to put their words.
        by_length = sorted(paths, key=lambda c: sum(s.width + s.height for s in segments(paths[c])))
        arrows = {c: Arrow(c, paths[c], self._label(c, paths[c])) for c in by_length}
        start = self._start()
        for c in self._texts:
            if c.sources == (c.target,):
                arrows[c] = self._best(c, self._loops)
        for c in self._texts:
            if len(c.sources) > 1:
                arrows[c] = self._best(c, self._stubs)
        self._fits(within)
        return self._moved_to_origin([arrows[c] for c in self._texts], start)

    def _fits(self, within: Point) -> None:
        extent, margin = self._extent(), self._scale.margin
        if extent.width + 2 * margin[0] > within[0] or extent.height + 2 * margin[1] > within[1]:
            raise NoRoom(f"{within} is too small")

    # Boxes

    def _box_size(self, name: str, lines: Text) -> Point:
        s = self._scale
        width = max(len(name) * s.head_char_width, *(length(x) * s.char[0] for x in lines), 0)
        width = math.ceil(width)
        height = s.head_height + len(lines) * s.char[1]
        return width + 2 * s.padding[0], height + (2 * s.padding[1])

    def _place(self, at: Point) -> Point:
        return self._columns.position(at[0]), self._rows.position(at[1])

    def _box_area(self, at: Point, size: Point) -> Rect:
        x, y = self._place(at)
        edge = self._scale.edge_at
        return Rect(edge(x - size[0] / 2), edge(y - size[1] / 2), *size)

    def _gaps(self, axis: int, spread: Point) -> Callable[[int], float]:
        """How far apart the boxes on line n of the grid are from those on the next: by what is written between."""
        s, states = self._scale, self._chart.states
        needed: dict[int, float] = {}
        for c, (lines, *_) in self._texts.items():
            a, b = states[c.sources[0]].at, states[c.target].at
            if len(c.sources) == 1 and a[1 - axis] == b[1 - axis] and abs(a[axis] - b[axis]) == 1:
                line = math.floor(min(a[axis], b[axis]))
                size = self._text_size(lines)[axis] + 2 * s.clear[axis]
                needed[line] = max(size, needed.get(line, 0))
        return lambda line: max(s.gap[axis], needed.get(line, 0)) * spread[axis]

    # Arrows

    def _paths(self) -> dict[Connection, Path]:
        between = {
            (c.sources[0], c.target): c
            for c in self._texts
            if len(c.sources) == 1 and c.sources[0] != c.target
        }
        paths: dict[Connection, Path] = {}
        for (a, b), c in between.items():
            if b not in self._chart.states[a].via:
                two_way = (b, a) in between and a not in self._chart.states[b].via
                if path := self._router.straight(a, b, two_way=two_way):
                    paths[c] = path
        rest = [(a, b) for (a, b), c in between.items() if c not in paths]
        for a, b in sorted(rest, key=self._distance):
            via = self._chart.states[a].via.get(b)
            paths[between[a, b]] = self._router.around(a, b, via and self._place(via))
        return paths

    def _distance(self, ends: tuple[str, str]) -> float:
        a, b = (self._chart.states[name].at for name in ends)
        return abs(a[0] - b[0]) + abs(a[1] - b[1])

    def _loops(self, c: Connection, lines: Text) -> Iterator[_Choice]:
        reach, apart = self._scale.loop, self._scale.apart
        for side in (TOP, BOTTOM, LEFT, RIGHT):
            across = 1 - side.axis
            border = self._border(c.target, side)
            out = self._scale.line_at(border + side.sign * reach[side.axis])
            for one, other in combinations(sorted(self._router.ports(c.target, side)), 2):
                if not 0.7 <= (other - one) / apart[across] <= 1.3:
                    continue
                path = tuple(
                    (along, at) if side.axis == 0 else (at, along)
                    for along, at in ((border, one), (out, one), (out, other), (border, other))
                )
                for label in self._label_choices(lines, path):
                    if not any(label.area.overlaps(piece) for piece in segments(path)):
                        yield (
                            Arrow(c, path, label),
                            ((c.target, side, one), (c.target, side, other)),
                        )

    def _stubs(self, c: Connection, lines: Text) -> Iterator[_Choice]:
        for path, end in self._inward(c.target):
            yield Arrow(c, path, self._at_tail(path, lines, self._text_size(lines))), (end,)

    def _inward(self, state: str) -> Iterator[tuple[Path, End]]:
        """Short straight arrows into `state`."""
        for side in (LEFT, TOP, BOTTOM, RIGHT):
            border = self._border(state, side)
            tail = border + side.sign * self._scale.stub[side.axis]
            for at in self._router.ports(state, side):
                path: Path = ((tail, at), (border, at))
                if side.axis == 1:
                    path = ((at, tail), (at, border))
                yield path, (state, side, at)

    def _start(self) -> Path:
        free: list[tuple[float, Path, Rect, End]] = []
        for path, end in self._inward(self._chart.initial):
            dot = self._at_tail(path, (), self._scale.dot).area
            if not self._router.touches(path, own=[end[0]]) and self._is_free(dot):
                cost = self._sprawl(path, dot) + _START_COSTS[end[1].name]
                free.append((cost, path, dot, end))
        if not free:
            raise NoRoom("no room for the dot where everything begins")
        _, path, dot, end = min(free, key=lambda choice: choice[0])
        self._router.take(path, end)
        self._words.append(dot)
        return path

    def _best(
        self, c: Connection, choices: Callable[[Connection, Text], Iterable[_Choice]]
    ) -> Arrow:
        """The arrow that touches nothing and makes the picture least larger."""
        for lines in self._texts[c]:
            free = [
                (self._sprawl(arrow.points, arrow.label.area), arrow, ends)
                for arrow, ends in choices(c, lines)
                if not self._router.touches(arrow.points, own=[c.target])
                and self._is_free(arrow.label.area)
            ]
            if free:
                _, arrow, ends = min(free, key=lambda choice: choice[0])
                self._router.take(arrow.points, *ends)
                self._words.append(arrow.label.area)
                return arrow
        raise NoRoom(f"no room beside {c.target!r} for {', '.join(c.events)}")

    # Words

    def _text_size(self, lines: Text) -> Point:
        width, height = self._scale.char
        return max((length(line) for line in lines), default=0) * width, len(lines) * height

    def _label(self, c: Connection, path: Path) -> Label:
        for lines in self._texts[c]:
            free = [
                (rank + _CROWD_COSTS * self._crowd(label.area, path), label)
                for rank, label in enumerate(self._label_choices(lines, path))
                if self._is_free(label.area)
            ]
            if free:
                _, label = min(free, key=lambda choice: choice[0])
                self._words.append(label.area)
                return label
        raise NoRoom(f"no room for {', '.join(c.events)} of {c.sources[0]!r}")

    def _label_choices(self, lines: Text, path: Path) -> Iterator[Label]:
        """Places beside the path: along the longest piece first, in its middle first."""
        pieces = segments(path)
        pieces.sort(key=lambda p: -(p.width / self._gap[0] + p.height / self._gap[1]))
        dx, dy = self._scale.beside
        width, height = self._text_size(lines)
        for piece in pieces:
            for part in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9):
                x, y = piece.x + part * piece.width, piece.y + part * piece.height
                if piece.width:
                    yield self._label_at((x - width / 2, y - dy - height), lines, "middle")
                    yield self._label_at((x - width / 2, y + dy), lines, "middle")
                else:
                    yield self._label_at((x + dx, y - height / 2), lines, "start")
                    yield self._label_at((x - dx - width, y - height / 2), lines, "end")

    def _at_tail(self, path: Path, lines: Text, size: Point) -> Label:
        (x, y), (to_x, to_y) = path
        width, height = size
        dx, dy = (d if lines else 0 for d in self._scale.clear)
        if y == to_y and x < to_x:
            return self._label_at((x - dx - width, y - height / 2), lines, "end", size)
        if y == to_y:
            return self._label_at((x + dx, y - height / 2), lines, "start", size)
        top = y - dy - height if y < to_y else y + dy
        return self._label_at((x - width / 2, top), lines, "middle", size)

    def _label_at(self, corner: Point, lines: Text, align: str, size: Point | None = None) -> Label:
        x, y = corner
        if self._scale.in_cells:
            x, y = self._scale.edge_at(x), self._scale.edge_at(y)
        return Label(Rect(x, y, *(size or self._text_size(lines))), lines, align)

    def _is_free(self, area: Rect) -> bool:
        """Whether words there touch no box, no words, no arrow."""
        dx, dy = self._scale.clear
        # A tenth less, because borders are rounded to whole pixels after the gap was measured.
        around = area.grown((dx * 0.9, dy * 0.9))
        return not (
            any(around.overlaps(box.area) for box in self._boxes.values())
            or any(around.overlaps(other) for other in self._words)
            or any(around.overlaps(line) for line in self._router.lines)
        )

    def _crowd(self, area: Rect, own: Path) -> int:
        """How many pieces of other arrows are so near that the words might seem theirs."""
        near = area.grown((2 * self._scale.beside[0], 2 * self._scale.beside[1]))
        mine = segments(own)
        return sum(near.overlaps(line) for line in self._router.lines if line not in mine)

    # The whole

    def _border(self, state: str, side: Side) -> float:
        low, high = self._boxes[state].area.corners
        return (high if side.sign > 0 else low)[side.axis]

    def _sprawl(self, path: Path, area: Rect) -> float:
        """By what share the picture gets larger."""
        before = self._extent()
        after = Rect.around([*before.corners, *path, *area.corners])
        return after.width * after.height / (before.width * before.height) - 1

    def _extent(self) -> Rect:
        areas = [*(b.area for b in self._boxes.values()), *self._words, *self._router.lines]
        return Rect.around(corner for area in areas for corner in area.corners)

    def _moved_to_origin(self, arrows: list[Arrow], start: Path) -> Layout:
        extent = self._extent()
        margin = self._scale.margin
        by = margin[0] - extent.x, margin[1] - extent.y

        def moved(path: Path) -> Path:
            return tuple((x + by[0], y + by[1]) for x, y in path)

        return Layout(
            (extent.width + 2 * margin[0], extent.height + 2 * margin[1]),
            tuple(replace(b, area=b.area.moved(by)) for b in self._boxes.values()),
            tuple(
                replace(
                    a,
                    points=moved(a.points),
                    label=replace(a.label, area=a.label.area.moved(by)),
                )
                for a in arrows
            ),
            moved(start),
        )
