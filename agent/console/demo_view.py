"""The demo on a terminal: the lifecycle with its state lit, and what goes on around it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.rule import Rule
from rich.text import Text

from agent.console.demo_lines import amount, figures, verdict
from agent.console.demo_scene import Fact, Report, Scene
from agent.core.chart import Chart
from agent.core.pictures.live import LiveView

MIN_WIDTH, MIN_HEIGHT = 64, 20
"""In less than this nothing useful can be drawn."""

PICTURE_WIDTH = 97
"""In less than this the words at its arrows are cut short, and it takes a second to lay out."""

PICTURE_HEIGHTS = (19, 17)
"""With room between the boxes, and without."""

BESIDE_WIDTH = 36
STATES_WIDTH = 28
CONTAINERS_WIDTH = 34
BELOW_HEIGHT = 5
LOG_HEIGHT = 3
FIGURES_HEIGHT = 2
HEADER_HEIGHT = 2

_SHARES = (0.28, 0.31, 0.26, 0.15)
"""Of the width, for four figures in a row."""

LIT: Mapping[str, str] = {
    "connected": "bold black on green",
    "backoff": "bold white on red",
    "stopped": "bold white on blue",
}
"""The colours of the active state; every other one is on its way."""

ON_ITS_WAY = "bold black on yellow"

_ROLES: Mapping[str, str] = {
    "name": "bold",
    "event": "cyan",
    **dict.fromkeys(("does", "box", "arrow", "more", "sources"), "dim"),
}
_WHO: Mapping[str, str] = {
    "demo": "bold",
    "server": "magenta",
    "agent": "cyan",
    "engine": "blue",
}
_TONES: Mapping[str, str] = {"plain": "", "good": "green", "bad": "red"}
_STATES: Mapping[str, str] = {"running": "green", "exited": "red", "dead": "red"}
_LEVELS: Mapping[str, str] = {"WARN": "yellow", "ERROR": "red"}


def draw(scene: Scene, width: int, height: int) -> RenderableType:
    """`scene` for a terminal of that many columns and rows."""
    if width < MIN_WIDTH or height < MIN_HEIGHT:  # somebody made it smaller meanwhile
        return _text(f" Make the terminal larger: {MIN_WIDTH} columns, {MIN_HEIGHT} rows", "bold")
    whole = Layout()
    rows = height - HEADER_HEIGHT - LOG_HEIGHT - BELOW_HEIGHT - 1  # the picture has a title
    if width >= PICTURE_WIDTH + BESIDE_WIDTH + 3 and rows >= PICTURE_HEIGHTS[-1]:
        middle = _wide(scene, rows)
    elif width > PICTURE_WIDTH and rows - FIGURES_HEIGHT >= PICTURE_HEIGHTS[-1]:
        middle = _high(scene, width, rows - FIGURES_HEIGHT)
    else:
        middle = _small(scene)
    rest = height - HEADER_HEIGHT - (middle.size or 0)
    log_height = max(LOG_HEIGHT, rest // 3)
    containers_width = min(CONTAINERS_WIDTH, width * 3 // 8)
    below = Layout()
    feed_height = rest - log_height - 1
    below.split_row(
        Layout(_containers(scene, containers_width, feed_height), size=containers_width),
        Layout(Text(" "), size=2),
        Layout(_feed(scene, feed_height)),
    )
    whole.split_column(
        Layout(_header(scene, width), size=HEADER_HEIGHT),
        middle,
        below,
        Layout(_log(scene, log_height - 1), size=log_height),
    )
    return whole


def summary(report: Report) -> RenderableType:
    """What stands on the terminal when all is over."""
    sign = Text("✔ ", "bold green") if report.is_good else Text("✘ ", "bold red")
    lines = [sign.append(verdict(report), "bold")]
    lines += [
        Text(f"  {name:18}", "dim").append(value, "not dim") for name, value in figures(report)
    ]
    return Group(*lines)


# Three ways to stand around the lifecycle, each with a fixed height


def _wide(scene: Scene, rows: int) -> Layout:
    picture_height = next(height for height in PICTURE_HEIGHTS if height <= rows)
    figures = _figures(scene)
    steps = _steps(scene, picture_height + 1 - len(figures) - 2)  # there are two titles
    layout = Layout(size=picture_height + 1)
    layout.split_row(
        Layout(_picture(scene, picture_height), size=PICTURE_WIDTH + 1),
        Layout(Text(" "), size=2),
        Layout(Group(_titled("Steps"), *steps, _titled("Figures"), *figures)),
    )
    return layout


def _high(scene: Scene, width: int, rows: int) -> Layout:
    picture_height = next(height for height in PICTURE_HEIGHTS if height <= rows)
    layout = Layout(size=picture_height + 1 + FIGURES_HEIGHT)
    layout.split_column(
        Layout(_picture(scene, picture_height), size=picture_height + 1),
        Layout(_figures_in_two_rows(scene, width)),
    )
    return layout


def _small(scene: Scene) -> Layout:
    title = _text("Lifecycle", "bold", " ── ", "dim", f" {scene.lifecycle} ", _lit(scene))
    states = _states(scene, STATES_WIDTH, 1)
    figures = [_figure("in state", f"{scene.in_state_s:.1f} s", ""), *_figures(scene)]
    layout = Layout(size=max(len(states), len(figures)) + 1)
    layout.split_row(
        Layout(Group(_titled(title), *states), size=STATES_WIDTH),
        Layout(Text(" "), size=2),
        Layout(Group(_titled("Figures"), *figures)),
    )
    return layout


# The parts


def _header(scene: Scene, width: int) -> RenderableType:
    first = _text(" DockMon Agent", "bold", "  demo", "", f"  {scene.place}", "dim")
    clock = f"{int(scene.elapsed_s) // 60}:{int(scene.elapsed_s) % 60:02} "
    first.truncate(width - len(clock) - 1, overflow="ellipsis", pad=True)
    first.append(clock.rjust(width - first.cell_len))
    count = len(scene.steps)
    if scene.step < count:
        second = _text(
            f" {scene.step + 1}/{count}  ", "bold yellow", scene.steps[scene.step], "bold"
        )
    else:
        second = _text(" The end", "bold green")
    return Group(first, second)


def _picture(scene: Scene, height: int) -> RenderableType:
    title = _text("Lifecycle", "bold", " ── ", "dim", f" {scene.lifecycle} ", _lit(scene))
    title.append(f" for {scene.in_state_s:.1f} s", "not bold")
    if scene.retry_in_s is not None:
        title.append(f", next try in {scene.retry_in_s:.1f} s", "bold red")
        title.append(f"  {scene.cause}", "red")
    for job, state in scene.jobs.items():
        title.append(f" ── {job} ── ", "dim").append(f" {state} ", ON_ITS_WAY)
    return Group(_titled(title), *_states(scene, PICTURE_WIDTH, height))


def _states(scene: Scene, width: int, height: int) -> list[Text]:
    """The lifecycle's picture, with every row it may have; a list of its states where it may have too few."""
    spans_of_rows = _live_view("lifecycle", width, height).lines(scene.lifecycle)
    lines = [Text(" ") for _ in range(max(height, len(spans_of_rows)))]
    for line, spans in zip(lines, spans_of_rows, strict=False):
        active = [at for at, span in enumerate(spans) if span.role == "active"]
        for at, span in enumerate(spans):
            is_lit = bool(active) and active[0] <= at <= active[-1]
            line.append(span.text, _lit(scene) if is_lit else _ROLES.get(span.role, ""))
    return lines


def _lit(scene: Scene) -> str:
    return LIT.get(scene.lifecycle, ON_ITS_WAY)


def _steps(scene: Scene, height: int) -> list[Text]:
    """As many as there is room for; the one that is played is among them."""
    first = min(max(0, scene.step - height + 2), max(0, len(scene.steps) - height))
    lines = []
    for number, step in list(enumerate(scene.steps))[first : first + height]:
        title = step.partition(":")[0]
        if number < scene.step:
            lines.append(_text(" ✔ ", "green", title, "dim"))
        elif number == scene.step:
            lines.append(_text(" ▶ ", "bold yellow", title, "bold"))
        else:
            lines.append(_text(" · ", "dim", title, "dim"))
    return lines


def _figures(scene: Scene) -> list[Text]:
    return [_figure(*figure) for figure in _named_figures(scene)]


def _figure(name: str, value: str, style: str) -> Text:
    return _text(f" {name:12}", "dim", value, style)


def _figures_in_two_rows(scene: Scene, width: int) -> RenderableType:
    cells = [
        _text(f" {name} ", "dim", value, style) for name, value, style in _named_figures(scene)
    ]
    lines = [Text(no_wrap=True), Text(no_wrap=True)]
    for at, cell in enumerate(cells):
        cell.truncate(int(width * _SHARES[at % 4]), overflow="ellipsis", pad=True)
        lines[at // 4].append_text(cell)
    return Group(*lines)


def _named_figures(scene: Scene) -> list[tuple[str, str, str]]:
    """(name, value, style), in two groups of four."""
    waits = scene.retry_in_s is not None
    return [
        (
            "next try",
            f"in {scene.retry_in_s:.1f} s" if waits else "none due",
            "bold red" if waits else "",
        ),
        ("server", *(("listens", "") if scene.server_is_there else ("is gone", "bold red"))),
        ("engine", scene.engine, ""),
        ("reconnects", str(scene.reconnects), ""),
        ("sent", amount(scene.sent), ""),
        ("received", amount(scene.received), ""),
        ("requests", f"{scene.requests}, {scene.replies} answered", ""),
        ("events", str(scene.events), ""),
    ]


def _containers(scene: Scene, width: int, height: int) -> RenderableType:
    title = "Containers on the server" if scene.server_is_there else "Containers, as last seen"
    room = height - sum(1 for container in scene.containers if container.figures)
    shown = list(scene.containers[: max(room, 0)])
    if (hidden := len(scene.containers) - len(shown)) > 0 and shown:
        shown.pop()
        hidden += 1
    lines = []
    for container in shown:
        line = _text(f" {container.name}", "bold" if container.is_ours else "")
        line.truncate(width - 11, overflow="ellipsis", pad=True)
        lines.append(line.append(f" {container.state}", _STATES.get(container.state, "dim")))
        if container.figures:
            lines.append(_text(f"   {container.figures}", "green"))
    if hidden > 0:
        lines.append(_text(f" and {hidden} more", "dim"))
    if not lines:
        lines.append(_text(" none", "dim"))
    return Group(_titled(title), *lines)


def _feed(scene: Scene, height: int) -> RenderableType:
    told = [fact for fact in scene.facts if fact.topic == "story"][-height:] if height > 0 else []
    return Group(_titled("What happens"), *map(_fact, told))


def _fact(fact: Fact) -> Text:
    line = _text(f"{fact.at_s:5.1f}  ", "dim", f"{fact.who:7}", _WHO[fact.who])
    return line.append(fact.text, _TONES[fact.tone])


def _log(scene: Scene, height: int) -> RenderableType:
    lines = []
    for entry in scene.log[-height:]:
        time, level, text = entry[11:19], entry[25:30].strip(), entry[31:]
        lines.append(_text(f" {time}  ", "dim", f"{level:5} ", _LEVELS.get(level, "dim"), text, ""))
    return Group(_titled("The agent's log"), *lines)


# Small things


def _titled(title: str | Text) -> Rule:
    text = title if isinstance(title, Text) else Text(title, "bold")
    return Rule(text, align="left", style="dim")


def _text(*pieces: str) -> Text:
    """One line from texts and styles in turn; what does not fit is cut."""
    line = Text(no_wrap=True, overflow="ellipsis")
    for text, style in zip(pieces[::2], pieces[1::2], strict=True):
        line.append(text, style)
    return line


@lru_cache(maxsize=1)
def _live_view(chart: str, width: int, height: int) -> LiveView:
    return LiveView(_chart(chart), width, height)


@lru_cache
def _chart(name: str) -> Chart:
    return Chart.load(name)
