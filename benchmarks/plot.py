"""A figure over the number of containers: one SVG file that needs nothing else, light or dark as preferred."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 74, 52

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.page { fill: #ffffff }
.axis, .grid { stroke: #d0d7de; stroke-width: 1; fill: none }
.axis { stroke: #59636e }
.curve { fill: none; stroke-width: 2.4; stroke-linejoin: round }
.c0 { stroke: #0969da; fill: #0969da }
.c1 { stroke: #bc4c00; fill: #bc4c00 }
.c2 { stroke: #59636e; fill: #59636e }
.curve.c0, .curve.c1, .curve.c2 { fill: none }
.c1.curve { stroke-dasharray: 7 4 }
.c2.curve { stroke-dasharray: 2 4 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.page { fill: #0d1117 }
.grid { stroke: #30363d }
.axis { stroke: #9198a1 }
.c0 { stroke: #58a6ff; fill: #58a6ff }
.c1 { stroke: #f0883e; fill: #f0883e }
.c2 { stroke: #9198a1; fill: #9198a1 }
}
"""


@dataclass(frozen=True, slots=True)
class Curve:
    name: str
    points: Sequence[tuple[float, float]]


def svg(title: str, unit: str, curves: Sequence[Curve]) -> str:
    """An SVG document: at most three curves, the x axis is the number of containers, the y axis begins at 0."""
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "width": str(WIDTH),
            "height": str(HEIGHT),
            "role": "img",
        },
    )
    ET.SubElement(root, "title").text = title
    ET.SubElement(root, "style").text = _STYLE
    ET.SubElement(root, "rect", {"class": "page", "rx": "8", "width": "100%", "height": "100%"})
    _text(root, LEFT, 26, f"{title} ({unit})", {"class": "title"})
    drawn = [
        Curve(curve.name, [point for point in curve.points if not math.isnan(point[1])])
        for curve in curves
    ]
    points = [point for curve in drawn for point in curve.points]
    highest_x = max((x for x, _ in points), default=1.0) or 1.0
    step = nice_step(max((y for _, y in points), default=1.0) or 1.0)
    highest_y = step * math.ceil((max((y for _, y in points), default=1.0) or 1.0) / step)

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + x / highest_x * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - y / highest_y * (HEIGHT - TOP - BOTTOM),
        )

    for count in range(round(highest_y / step) + 1):
        _, y = at(0, count * step)
        _line(root, (LEFT, y), (WIDTH - RIGHT, y), "grid" if count else "axis")
        _text(root, LEFT - 8, y + 4, f"{count * step:g}", {"text-anchor": "end"})
    for x in sorted({x for x, _ in points}):
        place, _ = at(x, 0)
        _line(root, (place, HEIGHT - BOTTOM), (place, HEIGHT - BOTTOM + 5), "axis")
        _text(root, place, HEIGHT - BOTTOM + 20, f"{x:g}", {"text-anchor": "middle"})
    _text(root, WIDTH - RIGHT, HEIGHT - 10, "containers", {"text-anchor": "end"})
    for index, curve in enumerate(drawn):
        _curve(root, index, curve, [at(*point) for point in curve.points])
    ET.indent(root, "")
    return ET.tostring(root, encoding="unicode") + "\n"


def nice_step(highest: float) -> float:
    """1, 2 or 5 times a power of ten, four to ten of which reach `highest`."""
    power = 10.0 ** math.floor(math.log10(highest / 4))
    return next(power * digit for digit in (1, 2, 5, 10) if highest / (power * digit) <= 10 / 2)


def _curve(
    root: ET.Element, index: int, curve: Curve, places: Sequence[tuple[float, float]]
) -> None:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    ET.SubElement(root, "polyline", {"class": f"curve c{index}", "points": path})
    for x, y in places:
        ET.SubElement(
            root, "circle", {"class": f"c{index}", "cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "3.5"}
        )
    legend = LEFT + index * 180
    ET.SubElement(
        root, "polyline", {"class": f"curve c{index}", "points": f"{legend},48 {legend + 28},48"}
    )
    _text(root, legend + 34, 52, curve.name, {})


def _line(
    root: ET.Element, begin: tuple[float, float], end: tuple[float, float], name: str
) -> None:
    ends = {"x1": begin[0], "y1": begin[1], "x2": end[0], "y2": end[1]}
    ET.SubElement(root, "line", {"class": name, **{k: f"{v:.1f}" for k, v in ends.items()}})


def _text(root: ET.Element, x: float, y: float, text: str, more: dict[str, str]) -> None:
    ET.SubElement(root, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", **more}).text = text
