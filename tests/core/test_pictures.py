"""The pictures of charts: complete, well-formed, and nothing on top of anything else."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from functools import cache
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from agent.core.chart import Chart
from agent.core.pictures import live
from agent.core.pictures import svg as drawing
from agent.core.pictures.export_json import to_json
from agent.core.pictures.geometry import Rect, segments
from agent.core.pictures.layout import Layout, layout
from agent.core.pictures.legend import legend
from agent.core.pictures.live import LiveView
from agent.core.pictures.mermaid import mermaid
from agent.core.pictures.routes import NoRoom
from agent.core.pictures.svg import fingerprint, svg
from agent.core.pictures.table import table
from agent.core.pictures.wording import arrows

DENSE = Chart.model_validate(
    tomllib.loads(Path(__file__).with_name("dense.toml").read_text("utf-8"))
)
OURS = {name: Chart.load(name) for name in Chart.names()}
CHARTS = {**OURS, "dense": DENSE}

SVG = "{http://www.w3.org/2000/svg}"

each_chart = pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)


def moves(chart: Chart) -> Counter[tuple[str, str, str]]:
    """(event, from, to) of every move, with how often the chart has it: guards may tell them apart."""
    return Counter(
        (t.on, source, t.to) for t in chart.transitions for source in t.source if t.to is not None
    )


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314  what we wrote a line before


@cache
def laid_out(name: str) -> Layout:
    return layout(CHARTS[name], drawing.SCALE, drawing.WORDS)


@cache
def drawn(name: str) -> str:
    return svg(CHARTS[name])


# --- Layout


@each_chart
def test_nothing_lies_on_anything_else(chart: Chart) -> None:
    """Boxes, words and arrows keep clear of each other; only arrows may cross arrows."""
    picture = laid_out(chart.name)
    boxes = {box.state: box.area for box in picture.boxes}
    words = [arrow.label.area for arrow in picture.arrows]
    lines = [piece for arrow in picture.arrows for piece in segments(arrow.points)]
    lines += segments(picture.start)
    for one, other in combinations([*boxes.values(), *words], 2):
        assert not one.overlaps(other)
    assert not [(w, line) for w in words for line in lines if w.overlaps(line)]
    assert not [(b, line) for b in boxes.values() for line in lines if b.overlaps(line)]


@each_chart
def test_arrows_go_from_border_to_border(chart: Chart) -> None:
    """Every piece is level or upright; the tip is on the target's border, the tail on that of a single source."""
    picture = laid_out(chart.name)
    boxes = {box.state: box.area for box in picture.boxes}
    for arrow in picture.arrows:
        assert all(piece.width == 0 or piece.height == 0 for piece in segments(arrow.points))
        assert on_border(boxes[arrow.connection.target], arrow.points[-1])
        if len(arrow.connection.sources) == 1:
            assert on_border(boxes[arrow.connection.sources[0]], arrow.points[0])
    assert on_border(boxes[chart.initial], picture.start[-1])


def on_border(box: Rect, point: tuple[float, float]) -> bool:
    inside = box.x <= point[0] <= box.right and box.y <= point[1] <= box.bottom
    return inside and (point[0] in (box.x, box.right) or point[1] in (box.y, box.bottom))


@each_chart
def test_everything_is_within_the_picture(chart: Chart) -> None:
    """What the size promises is where everything is."""
    picture = laid_out(chart.name)
    areas = [box.area for box in picture.boxes]
    areas += [arrow.label.area for arrow in picture.arrows]
    areas += [piece for arrow in picture.arrows for piece in segments(arrow.points)]
    for area in areas:
        assert area.x >= 0
        assert area.y >= 0
        assert area.right <= picture.size[0]
        assert area.bottom <= picture.size[1]


@each_chart
def test_all_between_two_states_is_one_arrow(chart: Chart) -> None:
    """Several events from one state to another share an arrow and have a line each, or more."""
    ends = Counter((a.connection.sources, a.connection.target) for a in laid_out(chart.name).arrows)
    assert set(ends.values()) == {1}


def test_via_bends_the_arrow() -> None:
    """A `via` decides where the arrow runs: here farther above the boxes than it would."""
    plain = OURS["engine"]
    following = plain.states["following"].model_copy(update={"via": {"down": (1.0, -1.5)}})
    hinted = plain.model_copy(update={"states": {**plain.states, "following": following}})
    assert height_of_return(hinted) > height_of_return(plain) > 0


def height_of_return(chart: Chart) -> float:
    picture = layout(chart, drawing.SCALE, drawing.WORDS)
    (arrow,) = (a for a in picture.arrows if a.connection.sources == ("following",))
    down = next(box.area for box in picture.boxes if box.state == "down")
    return down.y - min(y for _, y in arrow.points)


def test_boxes_on_one_place_are_refused() -> None:
    """A chart without coordinates cannot be drawn, and the error says what to change."""
    states = {n: s.model_copy(update={"at": (0, 0)}) for n, s in DENSE.states.items()}
    unplaced = DENSE.model_copy(update={"states": states})
    with pytest.raises(NoRoom, match=r"'pulling' lies on .*; change 'at'"):
        layout(unplaced, drawing.SCALE, drawing.WORDS)


# --- SVG


@each_chart
def test_svg_shows_each_state_once(chart: Chart) -> None:
    """One group for each state, with its name, what it does and what it holds."""
    groups = [g for g in parsed(drawn(chart.name)).iter(f"{SVG}g") if "data-state" in g.attrib]
    assert [g.attrib["data-state"] for g in groups] == list(chart.states)
    for group, (name, state) in zip(groups, chart.states.items(), strict=True):
        said = " ".join(word for text in group.iter(f"{SVG}text") for word in text.itertext())
        assert name in said
        assert state.does is None or state.does in said
        assert all(held in said for held in state.holds)


@each_chart
def test_svg_shows_each_move_once(chart: Chart) -> None:
    """Each (event, from, to) of the chart is at exactly one arrow, in words too."""
    shown: Counter[tuple[str, str, str]] = Counter()
    for group in parsed(drawn(chart.name)).iter(f"{SVG}g"):
        if "data-on" not in group.attrib:
            continue
        said = "".join(text for part in group.iter(f"{SVG}text") for text in part.itertext())
        for event in group.attrib["data-on"].split():
            assert event in said
            for source in group.attrib["data-from"].split():
                shown[event, source, group.attrib["data-to"]] += 1
    assert shown == moves(chart)


@each_chart
def test_svg_needs_nothing_else(chart: Chart) -> None:
    """No script, no link, no address but the name of the format itself."""
    text = drawn(chart.name)
    root = parsed(text)
    assert text.count("http") == 1
    assert not [e for e in root.iter() if e.tag in {f"{SVG}script", f"{SVG}image", f"{SVG}a"}]
    assert "href" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text


def test_svg_marks_the_active_state() -> None:
    """One state stands out, or none."""
    marked = parsed(svg(OURS["lifecycle"], active="connected"))
    groups = [g for g in marked.iter(f"{SVG}g") if g.attrib.get("class") == "active"]
    assert [g.attrib["data-state"] for g in groups] == ["connected"]
    assert 'class="active"' not in svg(OURS["lifecycle"])
    with pytest.raises(ValueError, match="lifecycle has no state 'asleep'"):
        svg(OURS["lifecycle"], active="asleep")


@each_chart
def test_svg_draws_ends_with_a_double_border(chart: Chart) -> None:
    """Two frames for a final state, one for any other."""
    for group in parsed(drawn(chart.name)).iter(f"{SVG}g"):
        if name := group.attrib.get("data-state"):
            assert len(group.findall(f"{SVG}rect")) == (2 if chart.states[name].final else 1)


def test_the_hash_tells_charts_apart() -> None:
    """It stands in the picture, stays as long as the chart does, and changes with anything in it."""
    chart = OURS["engine"]
    assert parsed(drawn(chart.name)).attrib["data-chart-hash"] == fingerprint(chart)
    assert fingerprint(Chart.load("engine")) == fingerprint(chart)
    longer = chart.activities["probe"].model_copy(update={"deadline_s": 61})
    changed = chart.model_copy(update={"activities": {**chart.activities, "probe": longer}})
    assert fingerprint(changed) != fingerprint(chart)


def test_markup_in_a_title_is_text() -> None:
    """Quotes, ampersands and brackets are shown as they are."""
    assert parsed(drawn("dense")).findtext(f"{SVG}title") == DENSE.title


# --- Mermaid


@each_chart
def test_mermaid_shows_each_move_once(chart: Chart) -> None:
    """One arrow for every two states that have one, from `[*]` to the initial state, from each final one to `[*]`."""
    lines = [line.strip() for line in mermaid(chart).splitlines()]
    assert lines.count(f"[*] --> {chart.initial}") == 1
    for name, state in chart.states.items():
        assert lines.count(f"{name} --> [*]") == int(state.final)
    shown = [line.partition(" : ")[0] for line in lines if " : " in line and "-->" in line]
    expected = {f"{source} --> {to}" for _, source, to in moves(chart)}
    assert sorted(shown) == sorted(expected)
    assert sum(len(arrow.events) for arrow in arrows(chart)) == moves(chart).total()


def test_mermaid_of_the_engine() -> None:
    """What is done and held stands in the state; events that mean the same share a line."""
    text = mermaid(OURS["engine"])
    assert "    catching_up : do / catch_up ≤ 2 min\n" in text
    assert "    catching_up : holds event_reader\n" in text
    assert (
        "    following --> down : engine_lost, stream_ended, crashed / wait_longer"
        "<br/>stream_overran / read_again\n"
    ) in text


def test_mermaid_keeps_what_does_not_move_inside() -> None:
    """A request that is only declined is no arrow."""
    text = mermaid(OURS["lifecycle"])
    assert "    updating : on update_requested / decline_update\n" in text
    assert "updating --> updating" not in text


def test_mermaid_shows_guards_and_their_else() -> None:
    """First match wins, so what follows a guard is marked as the rest."""
    text = mermaid(DENSE)
    assert "checking --> starting : step_failed [may_retry] / again\n" in text
    assert "step_failed [else] / remember_failure" in text


def test_mermaid_quotes_the_title() -> None:
    """The title is one YAML scalar whatever is in it: a colon would end it, a quote would too."""
    assert mermaid(DENSE).splitlines()[:4] == [
        "---",
        r'title: "A dense chart: \"quotes\" & <brackets>"',
        "---",
        "stateDiagram-v2",
    ]


# --- Table, legend and JSON


@each_chart
def test_table_has_a_cell_for_each_move(chart: Chart) -> None:
    """A row for each event, a column for each state, the targets in the cells."""
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table(chart).split("\n\n")[1].splitlines()
    ]
    assert rows[0] == ["event", *chart.states]
    shown = Counter(
        (event, state, target.split(" ")[0])
        for event, *cells in rows[2:]
        for state, cell in zip(chart.states, cells, strict=True)
        for target in cell.split("; ")
        if target and target != "(stays)"
    )
    assert shown == moves(chart)


def test_table_shows_guards_and_what_stays() -> None:
    """The guard stands behind its target, and an event that moves nothing says so."""
    assert "| starting [may_retry]; rolling_back |" in table(DENSE)
    assert "| (stays) " in table(OURS["lifecycle"])


def test_table_keeps_its_columns() -> None:
    """A bar in a text does not open another column, and all rows are as wide as their heads."""
    assert r"The record of the job \| on disk." in table(DENSE)
    for part in table(OURS["lifecycle"]).split("\n\n"):
        if part.startswith("|"):
            assert len({len(line) for line in part.strip().splitlines()}) == 1


def test_legend_says_what_states_are_for() -> None:
    """Each state in order, with what it holds, does, and for how long."""
    entries = {entry.state: entry for entry in legend(OURS["engine"])}
    assert list(entries) == ["down", "catching_up", "following", "stopped"]
    assert entries["following"].holds == ("event_reader",)
    assert (entries["following"].does, entries["following"].lasts) == (
        "follow",
        "until stream_ended",
    )
    assert (entries["down"].does, entries["down"].lasts) == ("probe", "≤ 60 s")
    assert (entries["stopped"].does, entries["stopped"].lasts) == ("", "")


@each_chart
def test_json_is_the_chart(chart: Chart) -> None:
    """It reads back as the same chart, with the states in their order."""
    text = to_json(chart)
    assert Chart.model_validate_json(text) == chart
    assert list(json.loads(text)["states"]) == list(chart.states)


# --- In a terminal


def shown(view: LiveView, active: str) -> list[str]:
    return ["".join(span.text for span in row) for row in view.lines(active)]


def test_the_engine_in_a_terminal() -> None:
    """Boxes and arrows, the active state in a heavy frame, the final one in a double one."""
    assert shown(LiveView(OURS["engine"], 100, 14), "catching_up") == ENGINE.splitlines()


ENGINE = """\
                      ┌─────────────┐ engine_answered ┏━━━━━━━━━━━━━┓ caught_up ┌─────────────┐
                  ●──▶│    down     │────────────────▶┃ catching_up ┃──────────▶│  following  │
any state: crashed ──▶│    probe    │◀────────────────┃  catch_up   ┃           │   follow    │
                      └─────────────┘  engine_lost +3 ┗━━━━━━━━━━━━━┛           └─────────────┘
                         │   ▲    ▲────────────────────────────────────────────────╯
                         ╰───╯ engine_silent +1     engine_lost +2
                                                      ╔═════════════╗
                         any state: stop_requested ──▶║   stopped   ║
                                                      ╚═════════════╝
"""


def test_the_lifecycle_fits_a_hundred_columns() -> None:
    """Every state's name is there in full within 100 columns and 17 rows; with two more rows every label is."""
    small = shown(LiveView(OURS["lifecycle"], 100, 17), "connected")
    assert len(small) <= 17
    assert max(map(len, small)) <= 100
    assert all(name in "\n".join(small) for name in OURS["lifecycle"].states)
    assert "…" not in "\n".join(shown(LiveView(OURS["lifecycle"], 100, 19), "connected"))


@pytest.mark.parametrize("active", OURS["lifecycle"].states)
def test_one_state_is_marked(active: str) -> None:
    """The name of the active state has the role `active`, the others have not."""
    for size in ((100, 20), (30, 20)):
        rows = LiveView(OURS["lifecycle"], *size).lines(active)
        names = [
            span for row in rows for span in row if span.text.strip() in OURS["lifecycle"].states
        ]
        assert [span.text.strip() for span in names if span.role == "active"] == [active]
        assert len(names) == len(OURS["lifecycle"].states)


def test_a_narrow_terminal_gets_a_list() -> None:
    """Where no picture fits, the states stand below each other."""
    assert shown(LiveView(OURS["engine"], 30, 5), "down") == [
        "▶ down",
        "  catching_up",
        "  following",
        "  stopped",
    ]


@pytest.mark.parametrize("chart", OURS.values(), ids=OURS)
def test_nothing_lies_on_anything_else_in_a_terminal(chart: Chart) -> None:
    """The same rules hold in cells."""
    picture = layout(chart, live.SCALE, live.WORDS, within=(160, 60))
    boxes = [box.area for box in picture.boxes]
    words = [arrow.label.area for arrow in picture.arrows]
    lines = [piece for arrow in picture.arrows for piece in segments(arrow.points)]
    assert not [pair for pair in combinations([*boxes, *words], 2) if pair[0].overlaps(pair[1])]
    assert not [(w, line) for w in [*words, *boxes] for line in lines if w.overlaps(line)]
