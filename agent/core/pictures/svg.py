"""A chart as one SVG file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

import hashlib
from math import hypot
from xml.etree import ElementTree as ET

from agent.core.chart import Chart, Point
from agent.core.pictures.export_json import to_json
from agent.core.pictures.geometry import Rect
from agent.core.pictures.layout import Arrow, Box, Label, Layout, Scale, Text, Words, layout
from agent.core.pictures.wording import (
    Connection,
    Line,
    Word,
    limit,
    noticed_in,
    whence,
    wrapped,
)

_LINE_PX = 15.0
_FONT_PX = 11.5
_NAME_PX = 13.5
_BEND_PX = 9.0
_HEADING_PX = 44.0
_WRAP_INSIDE, _WRAP_BESIDE = 25, (22, 15)  # characters

# A little wider than most monospaced fonts are, for the viewer's is not known.
_CHAR_EM = 0.61

SCALE = Scale(
    char=(_CHAR_EM * _FONT_PX, _LINE_PX),
    padding=(14, 10),
    gap=(64, 64),
    apart=(26, 24),
    clear=(10, 8),
    corner=(16, 12),
    beside=(10, 8),
    stub=(34, 34),
    loop=(34, 30),
    dot=(12, 12),
    head_height=26,
    head_char_width=_CHAR_EM * _NAME_PX,
    margin=(24, 20),
)

_STYLE = """
text { font: 11.5px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #1f2328 }
.title { font: 600 17px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif }
.page { fill: #ffffff }
.box { fill: #f6f8fa; stroke: #8c959f; stroke-width: 1.2 }
.rule { stroke: #d1d9e0 }
.name { font-size: 13.5px; font-weight: 600 }
.arrow { fill: none; stroke: #59636e; stroke-width: 1.3 }
.tip, .dot { fill: #59636e }
.action, .limit, .keyword { fill: #656d76 }
.sources { fill: #656d76; font-style: italic }
.guard { fill: #8250df }
.active .box { fill: #ddf4ff; stroke: #0969da; stroke-width: 2.4 }
.active .name { fill: #0550ae }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.page { fill: #0d1117 }
.box { fill: #161b22; stroke: #6e7681 }
.rule { stroke: #30363d }
.arrow { stroke: #9198a1 }
.tip, .dot { fill: #9198a1 }
.action, .limit, .keyword, .sources { fill: #9198a1 }
.guard { fill: #d2a8ff }
.active .box { fill: #0c2d6b; stroke: #58a6ff }
.active .name { fill: #a5d6ff }
}
"""


def svg(chart: Chart, *, active: str | None = None) -> str:
    """An SVG document, light or dark as the viewer prefers; `active` is a state to mark.

    Raises:
        NoRoom: The chart's coordinates leave no room for its words.
        ValueError: `active` is no state of the chart.
    """
    if active is not None and active not in chart.states:
        raise ValueError(f"{chart.name} has no state {active!r}")
    drawn = layout(chart, SCALE, WORDS)
    width, height = drawn.size[0], drawn.size[1] + _HEADING_PX - SCALE.margin[1] / 2
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width:.0f} {height:.0f}",
            "width": f"{width:.0f}",
            "height": f"{height:.0f}",
            "role": "img",
            "data-chart": chart.name,
            "data-chart-hash": fingerprint(chart),
        },
    )
    ET.SubElement(root, "title").text = chart.title
    ET.SubElement(root, "style").text = _STYLE
    tip = ET.SubElement(
        ET.SubElement(root, "defs"),
        "marker",
        id=f"tip-{chart.name}",
        viewBox="0 0 10 10",
        refX="9.5",
        refY="5",
        markerWidth="9",
        markerHeight="9",
        markerUnits="userSpaceOnUse",
        orient="auto",
    )
    ET.SubElement(tip, "path", {"class": "tip", "d": "M0,1 L10,5 L0,9 z"})
    ET.SubElement(root, "rect", {"class": "page", "rx": "8", "width": "100%", "height": "100%"})
    _text(root, (SCALE.margin[0], 32), (Word(chart.title, "title"),))
    body = ET.SubElement(
        root, "g", transform=f"translate(0 {_HEADING_PX - SCALE.margin[1] / 2:.0f})"
    )
    _draw(body, chart, drawn, active)
    # ET.indent would put blanks between the words as well.
    for parent in root.iter():
        if parent.tag != "text":
            for child in parent:
                child.tail = "\n"
    return ET.tostring(root, encoding="unicode") + "\n"


def fingerprint(chart: Chart) -> str:
    """16 hexadecimal digits that change whenever anything in the chart does."""
    return hashlib.sha256(to_json(chart).encode()).hexdigest()[:16]


def _inside(chart: Chart, state: str) -> Text:
    spec = chart.states[state]
    lines: list[Line] = []
    if spec.does is not None:
        does = [Word("do /", "keyword"), Word(spec.does, "does")]
        lines += wrapped([*does, Word(limit(chart.activities[spec.does]), "limit")], _WRAP_INSIDE)
    if spec.holds:
        *others, last = spec.holds
        held = [*(Word(f"{name},", "holds") for name in others), Word(last, "holds")]
        lines += wrapped([Word("holds", "keyword"), *held], _WRAP_INSIDE)
    for clause in noticed_in(chart, state):
        lines += wrapped([Word("on", "keyword"), *clause.words], _WRAP_INSIDE)
    return tuple(lines)


def _beside(chart: Chart, connection: Connection) -> tuple[Text, ...]:
    header = []
    if len(connection.sources) > 1:
        header = [Word(name, "sources") for name in whence(chart, connection.sources).split(" ")]
    parts = [header, *(clause.words for clause in connection.clauses)]
    return tuple(
        tuple(line for part in parts for line in wrapped(part, width)) for width in _WRAP_BESIDE
    )


WORDS = Words(_inside, _beside)


def _draw(body: ET.Element, chart: Chart, drawn: Layout, active: str | None) -> None:
    tip = f"url(#tip-{chart.name})"
    for arrow in drawn.arrows:
        _draw_arrow(body, arrow, tip)
    x, y = drawn.start[0]
    begin = ET.SubElement(body, "g", {"data-initial": chart.initial})
    ET.SubElement(begin, "path", {"class": "arrow", "d": _curve(drawn.start), "marker-end": tip})
    ET.SubElement(begin, "circle", {"class": "dot", "cx": _n(x), "cy": _n(y), "r": "6"})
    for box in drawn.boxes:
        _draw_box(body, chart, box, active=box.state == active)


def _draw_arrow(body: ET.Element, arrow: Arrow, tip: str) -> None:
    group = ET.SubElement(
        body,
        "g",
        {
            "data-from": " ".join(arrow.connection.sources),
            "data-to": arrow.connection.target,
            "data-on": " ".join(arrow.connection.events),
        },
    )
    ET.SubElement(group, "path", {"class": "arrow", "d": _curve(arrow.points), "marker-end": tip})
    _draw_label(group, arrow.label)


def _draw_label(group: ET.Element, label: Label) -> None:
    area = label.area
    x = {"start": area.x, "middle": area.centre[0], "end": area.right}[label.align]
    for number, line in enumerate(label.lines):
        text = _text(group, (x, _baseline(area.y, number)), line)
        if label.align != "start":
            text.set("text-anchor", label.align)


def _draw_box(body: ET.Element, chart: Chart, box: Box, *, active: bool) -> None:
    spec, area = chart.states[box.state], box.area
    group = ET.SubElement(body, "g", {"data-state": box.state})
    if active:
        group.set("class", "active")
    ET.SubElement(group, "title").text = spec.doc
    _draw_frame(group, area, radius=10)
    if spec.final:
        _draw_frame(group, area.grown((-4, -4)), radius=6.5)
    middle, top = area.centre[0], area.y + SCALE.padding[1]
    name_y = top + 12 if box.lines else area.centre[1] + 4.5
    name = _text(group, (middle, name_y), (Word(box.state, "name"),))
    name.set("text-anchor", "middle")
    if box.lines:
        y = _n(top + 20.5)
        ET.SubElement(
            group,
            "line",
            {"class": "rule", "x1": _n(area.x), "x2": _n(area.right), "y1": y, "y2": y},
        )
    for number, line in enumerate(box.lines):
        y_text = _baseline(top + SCALE.head_height, number)
        _text(group, (area.x + SCALE.padding[0], y_text), line)


def _draw_frame(group: ET.Element, area: Rect, radius: float) -> None:
    x, y, width, height = map(_n, (area.x, area.y, area.width, area.height))
    ET.SubElement(
        group,
        "rect",
        {"class": "box", "x": x, "y": y, "width": width, "height": height, "rx": _n(radius)},
    )


def _text(parent: ET.Element, at: Point, line: Line) -> ET.Element:
    text = ET.SubElement(parent, "text", {"x": _n(at[0]), "y": _n(at[1])})
    if len(line) == 1:
        text.set("class", line[0].role)
        text.text = line[0].text
        return text
    for word in line:
        span = ET.SubElement(text, "tspan", {"class": word.role})
        span.text, span.tail = word.text, " "
    span.tail = ""
    return text


def _baseline(top: float, number: int) -> float:
    return top + (number + 0.78) * _LINE_PX


def _curve(points: tuple[Point, ...]) -> str:
    """A path through `points` with rounded bends."""
    steps = [f"M{_n(points[0][0])},{_n(points[0][1])}"]
    for before, bend, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(_BEND_PX, _distance(before, bend) / 2, _distance(bend, after) / 2)
        into, out = _towards(bend, before, radius), _towards(bend, after, radius)
        steps.append(f"L{_pair(into)} Q{_pair(bend)} {_pair(out)}")
    return " ".join([*steps, f"L{_pair(points[-1])}"])


def _distance(a: Point, b: Point) -> float:
    return hypot(b[0] - a[0], b[1] - a[1])


def _towards(origin: Point, to: Point, by: float) -> Point:
    share = by / _distance(origin, to)
    return origin[0] + (to[0] - origin[0]) * share, origin[1] + (to[1] - origin[1]) * share


def _pair(point: Point) -> str:
    return f"{_n(point[0])},{_n(point[1])}"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
