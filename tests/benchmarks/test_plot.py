"""Figures as SVG."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest

from benchmarks.plot import HEIGHT, WIDTH, Curve, nice_step, svg

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*curves: Curve) -> ET.Element:
    return ET.fromstring(svg("Cost & <time>", "ms", curves))  # noqa: S314  our own


def test_all_points_are_on_the_page() -> None:
    """The highest as well, and every curve has its name in the legend."""
    root = drawn(Curve("ours", [(10, 1.5), (300, 12)]), Curve("theirs", [(10, 50), (300, 644)]))
    circles = root.findall(f"{SVG}circle")
    assert len(circles) == 4
    for circle in circles:
        assert 0 < float(circle.attrib["cx"]) < WIDTH
        assert 0 < float(circle.attrib["cy"]) < HEIGHT
    texts = [text.text for text in root.findall(f"{SVG}text")]
    assert {"Cost & <time> (ms)", "ours", "theirs", "10", "300"} <= set(texts)


@pytest.mark.parametrize("points", [[], [(10, math.nan)], [(10, 0.0)]])
def test_nothing_can_be_drawn(points: list[tuple[float, float]]) -> None:
    """What was not measured leaves an empty page, not an error."""
    assert drawn(Curve("ours", points)).find(f"{SVG}title") is not None


def test_it_follows_light_and_dark() -> None:
    """No script, no font, no network; the colours follow the viewer."""
    text = svg("Cost", "ms", [Curve("ours", [(1, 1)])])
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    ("highest", "step"), [(1, 0.2), (5, 1), (48, 10), (51, 20), (644, 200), (0.03, 0.01)]
)
def test_steps_are_easy_to_read(highest: float, step: float) -> None:
    """1, 2 or 5 times a power of ten, and five of them at most."""
    assert nice_step(highest) == pytest.approx(step)
