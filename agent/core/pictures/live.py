"""A chart drawn with the characters of a terminal, one state marked as active. Knows no terminal library."""

from __future__ import annotations

from contextlib import suppress
from itertools import groupby, pairwise
from math import floor
from typing import NamedTuple

from agent.core.chart import Chart, Point
from agent.core.pictures.geometry import Rect
from agent.core.pictures.layout import Box, Label, Layout, Scale, Text, Words, layout
from agent.core.pictures.routes import NoRoom, Path
from agent.core.pictures.wording import Connection, Line, Word, length, whence

SCALE = Scale(
    char=(1, 1),
    padding=(2, 1),
    gap=(6, 2),
    apart=(4, 1),
    clear=(1, 0),
    corner=(2, 1.5),
    beside=(1.5, 0.5),
    stub=(3, 2),
    loop=(3.5, 1.5),
    dot=(1, 1),
    head_height=1,
    head_char_width=1,
    margin=(0, 0),
    in_cells=True,
)

_LABEL_WIDTHS = (24, 16, 14, 12, 10, 8, 6)
"""Labels get shorter, one by one and then all of them, until the picture is as small as asked."""

_NORTH, _EAST, _SOUTH, _WEST = 1, 2, 4, 8
_LINES = " ╵╶╰╷│╭├╴╯─┴╮┤┬┼"  # by the sum of the directions in which a line goes on
_TIPS = {_NORTH: "▲", _EAST: "▶", _SOUTH: "▼", _WEST: "◀"}
_PLAIN_FRAME, _ACTIVE_FRAME, _FINAL_FRAME = map(tuple, ("┌─┐│└┘", "┏━┓┃┗┛", "╔═╗║╚╝"))


class Span(NamedTuple):
    """`role` says how to colour it: as in `Word`, and box, active, arrow, dot, more, or nothing."""

    text: str
    role: str


class LiveView:
    """Draws `chart` within `width` columns and `height` rows. Laid out once, drawn as often as the state changes.

    Where that is too little for a picture, it is a list of the states.
    """

    def __init__(self, chart: Chart, width: int, height: int) -> None:
        self._chart = chart
        self._layout: Layout | None = None
        for longest in range(len(_LABEL_WIDTHS)):
            words = Words(_inside, _Brief(_LABEL_WIDTHS[longest:]))
            with suppress(NoRoom):
                self._layout = layout(chart, SCALE, words, within=(width, height))
                break

    def lines(self, active: str) -> list[list[Span]]:
        """The rows from the top, each without blanks at its end; `active` is the state to mark."""
        if self._layout is None:
            return [
                [Span("▶ ", "active"), Span(name, "active")]
                if name == active
                else [Span("  ", ""), Span(name, "name")]
                for name in self._chart.states
            ]
        canvas = _Canvas(self._layout.size)
        for arrow in self._layout.arrows:
            canvas.path(arrow.points)
            canvas.label(arrow.label)
        canvas.path(self._layout.start)
        canvas.dot(self._layout.start)
        for box in self._layout.boxes:
            final = self._chart.states[box.state].final
            canvas.box(box, active=box.state == active, final=final)
        return canvas.rows()


class _Brief:
    """At an arrow: its first event, and how many more there are."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        self._widths = widths

    def __call__(self, chart: Chart, connection: Connection) -> tuple[Text, ...]:
        first, *others = connection.events
        words = [Word(first, "event")]
        if len(connection.sources) > 1:
            words.insert(0, Word(f"{whence(chart, connection.sources, brief=True)}:", "sources"))
        more = [Word(f"+{len(others)}", "more")] if others else []
        rooms = [width - length(tuple(more)) - len(more) for width in self._widths]
        texts = (((*(_cut(word, room) for word in words), *more),) for room in rooms)
        return tuple(dict.fromkeys(texts))


def _cut(word: Word, room: int) -> Word:
    return word if len(word.text) <= room else Word(word.text[: room - 1] + "…", word.role)


def _inside(chart: Chart, state: str) -> Text:
    does = chart.states[state].does
    return ((Word(does, "does"),),) if does is not None else ()


WORDS = Words(_inside, _Brief(_LABEL_WIDTHS))


class _Canvas:
    def __init__(self, size: Point) -> None:
        width, height = floor(size[0]), floor(size[1])
        self._cells = [[Span(" ", "")] * width for _ in range(height)]
        self._ways = [[0] * width for _ in range(height)]

    def rows(self) -> list[list[Span]]:
        rows = []
        for cells in self._cells:
            spans = [
                Span("".join(cell.text for cell in run), role)
                for role, run in groupby(cells, key=lambda cell: cell.role)
            ]
            if spans and not spans[-1].role:
                spans.pop()
            rows.append(spans)
        return rows

    def path(self, points: Path) -> None:
        """Lines along `points` with a tip at the last."""
        cells = _cells_of(points)
        _, outside = _ways(points[0], points[1])
        self._join(cells[0], outside)
        for here, there in pairwise(cells):
            way, back = _ways(here, there)
            self._join(here, way)
            self._join(there, back)
        towards, _ = _ways(_into(points[-1], points[-2]), points[-1])
        self._put(cells[-1], Span(_TIPS[towards], "arrow"))

    def dot(self, points: Path) -> None:
        x, y = _into(points[0], points[1])
        (to_x, to_y) = _into(points[-1], points[-2])
        step_x, step_y = (x > to_x) - (x < to_x), (y > to_y) - (y < to_y)
        self._put((floor(x) + step_x, floor(y) + step_y), Span("●", "dot"))

    def label(self, label: Label) -> None:
        x, y = floor(label.area.x), floor(label.area.y)
        for row, line in enumerate(label.lines):
            self._text((x, y + row), line)

    def box(self, box: Box, *, active: bool, final: bool) -> None:
        x, y, right, bottom = _whole(box.area)
        frame = _FINAL_FRAME if final else _ACTIVE_FRAME if active else _PLAIN_FRAME
        top_left, level, top_right, upright, bottom_left, bottom_right = frame
        role = "active" if active else "box"
        inner = right - x - 1
        self._write((x, y), top_left + level * inner + top_right, role)
        self._write((x, bottom), bottom_left + level * inner + bottom_right, role)
        for row in range(y + 1, bottom):
            self._write((x, row), upright, role)
            self._write((x + 1, row), " " * inner, "")
            self._write((right, row), upright, role)
        name = "active" if active else "name"
        for row, line in enumerate([(Word(box.state, name),), *box.lines], start=y + 1):
            text_width = sum(len(word.text) for word in line)
            self._text((x + (right - x + 1 - text_width) // 2, row), line)

    def _text(self, at: tuple[int, int], line: Line) -> None:
        x, y = at
        for word in line:
            self._write((x, y), word.text, word.role)
            x += len(word.text) + 1

    def _write(self, at: tuple[int, int], text: str, role: str) -> None:
        x, y = at
        for offset, character in enumerate(text):
            self._put((x + offset, y), Span(character, role))

    def _join(self, at: tuple[int, int], ways: int) -> None:
        x, y = at
        self._ways[y][x] |= ways
        if self._cells[y][x].text not in _TIPS.values():
            self._put(at, Span(_LINES[self._ways[y][x]], "arrow"))

    def _put(self, at: tuple[int, int], span: Span) -> None:
        x, y = at
        self._cells[y][x] = span


def _into(end: Point, following: Point) -> Point:
    """The middle of the cell in which a line that begins at the border `end` has its end."""
    (x, y), (to_x, to_y) = end, following
    return x + ((to_x > x) - (to_x < x)) / 2, y + ((to_y > y) - (to_y < y)) / 2


def _cells_of(points: Path) -> list[tuple[int, int]]:
    inner = [_into(points[0], points[1]), *points[1:-1], _into(points[-1], points[-2])]
    corners = [(floor(x), floor(y)) for x, y in inner]
    cells = [corners[0]]
    for to_x, to_y in corners[1:]:
        x, y = cells[-1]
        while (x, y) != (to_x, to_y):
            x, y = x + (to_x > x) - (to_x < x), y + (to_y > y) - (to_y < y)
            cells.append((x, y))
    return cells


def _ways(here: Point, there: Point) -> tuple[int, int]:
    """(direction from here to there, direction back)"""
    if here[0] != there[0]:
        return (_EAST, _WEST) if there[0] > here[0] else (_WEST, _EAST)
    return (_SOUTH, _NORTH) if there[1] > here[1] else (_NORTH, _SOUTH)


def _whole(area: Rect) -> tuple[int, int, int, int]:
    """(first column, first row, last column, last row)"""
    return floor(area.x), floor(area.y), floor(area.right) - 1, floor(area.bottom) - 1
