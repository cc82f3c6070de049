"""The demo's picture, drawn from made-up scenes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style

from agent.console.demo_scene import Fact, Report, Scene, Shown, Traffic
from agent.console.demo_view import LIT, MIN_HEIGHT, MIN_WIDTH, ON_ITS_WAY, draw, summary
from agent.core.chart import Chart

STATES = tuple(Chart.load("lifecycle").states)
SIZES = [(100, 30), (140, 45), (80, 24), (90, 32), (200, 60), (MIN_WIDTH, MIN_HEIGHT)]

SCENE = Scene(
    place="Docker 28.2.2 on rack7, unix:///var/run/docker.sock",
    elapsed_s=72.3,
    steps=("Connect: the agent dials out", "Cut the link: nobody listens", "Stop: in good order"),
    step=1,
    lifecycle="connected",
    in_state_s=12.34,
    retry_in_s=None,
    cause="registered: 9ab3c1d2",
    engine="following",
    server_is_there=True,
    reconnects=1,
    sent=Traffic(31, 14_200),
    received=Traffic(28, 999),
    requests=12,
    replies=11,
    events=5,
    containers=(Shown("demo-49af", "running", is_ours=True), Shown("db", "exited")),
    facts=(
        Fact(3.0, "demo", "2/3  Cut the link", topic="step"),
        Fact(5.0, "server", "asks: start demo-49af"),
        Fact(5.2, "agent", "lifecycle registering → connected", topic="move"),
    ),
    log=("2031-05-04T03:02:01.123Z WARN  the disk is full free_bytes=0",),
)


def drawn(scene: Scene, width: int, height: int) -> str:
    """The picture as text, without colours."""
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(draw(scene, width, height))
    return capture.get()


def lit(scene: Scene, width: int = 140, height: int = 45) -> Iterator[str]:
    """The pieces of text that have the active state's colours."""
    style = Style.parse(LIT.get(scene.lifecycle, ON_ITS_WAY))
    console = Console(file=io.StringIO(), width=width, height=height, color_system="standard")
    for segment in console.render(draw(scene, width, height), console.options):
        if segment.style is not None and segment.style.bgcolor == style.bgcolor:
            yield segment.text


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fills_the_terminal_exactly(width: int, height: int, state: str) -> None:
    """Whatever the size and the state: each row is there, and none is wider than the terminal."""
    retry_in_s = 1.2 if state == "backoff" else None
    lines = drawn(
        replace(SCENE, lifecycle=state, retry_in_s=retry_in_s), width, height
    ).splitlines()
    assert len(lines) == height
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_lifecycles_state_is_lit_and_no_other(width: int, height: int, state: str) -> None:
    """One look tells where the agent is."""
    text = " ".join(lit(replace(SCENE, lifecycle=state), width, height))
    assert {name for name in STATES if name in text} == {state}


@pytest.mark.parametrize(("width", "height"), [(100, 30), (140, 45)])
def test_a_terminal_of_usual_size_has_the_whole_chart(width: int, height: int) -> None:
    """Every state has its box, and the way back in has its arrow."""
    text = drawn(SCENE, width, height)
    for state in STATES:
        assert state in text
    assert "◀" in text
    assert "retry_due" in text


def test_backoff_counts_down() -> None:
    """While the agent waits, it is told for how long yet, and why."""
    waiting = replace(
        SCENE, lifecycle="backoff", retry_in_s=2.06, cause="link_lost: the connection broke"
    )
    assert "next try in 2.1 s  link_lost: the connection broke" in drawn(waiting, 100, 30)
    assert "next try in" not in drawn(SCENE, 100, 30)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_figures_are_there_at_every_size(width: int, height: int) -> None:
    """What went each way, how often the link was lost, what the engine's chart says."""
    text = drawn(SCENE, width, height)
    for figure in ("31 messages, 14.2 kB", "28 messages, 999 B", "12, 11 answered", "following"):
        assert figure in text


def test_steps_are_ticked_off() -> None:
    """What was played, what is played, what comes: beside the chart, where there is room."""
    text = drawn(SCENE, 140, 45)
    assert "✔ Connect" in text
    assert "▶ Cut the link" in text
    assert "· Stop" in text
    assert "2/3  Cut the link: nobody listens" in drawn(SCENE, 100, 30)


@pytest.mark.parametrize("step", range(12))
def test_the_step_that_is_played_is_always_among_those_shown(step: int) -> None:
    """There may be more of them than rows: the list moves along."""
    scene = replace(SCENE, steps=[f"Step-{number}: it" for number in range(12)], step=step)
    text = drawn(scene, 140, 45)
    assert f"▶ Step-{step} " in text
    for figure in ("engine", "reconnects", "events"):
        assert figure in text


def test_a_job_is_told_beside_the_lifecycle() -> None:
    """Its state is lit as well."""
    scene = replace(SCENE, jobs={"container_update web": "rollback"})
    for width, height in ((120, 40), (140, 45)):
        assert "── container_update web ──  rollback " in drawn(scene, width, height)


def test_what_happens_is_told_without_what_the_chart_shows() -> None:
    """Steps and moves are to be seen elsewhere; the rest is told in sentences, the newest at the end."""
    text = drawn(SCENE, 100, 30)
    assert "5.0  server asks: start demo-49af" in text
    assert "registering → connected" not in text
    many = [Fact(float(at), "server", f"asks: number {at};") for at in range(50)]
    text = drawn(replace(SCENE, facts=many), 100, 30)
    assert "number 49;" in text
    assert "number 0;" not in text


def test_a_host_with_many_containers_shows_the_demos_and_counts_the_rest() -> None:
    """The demo's container comes first; nobody thinks that the ones without room were not there."""
    ours = SCENE.containers[0]
    others = [Shown(f"c{number}", "running") for number in range(40)]
    text = drawn(replace(SCENE, containers=[ours, *others]), 100, 30)
    assert "demo-49af" in text
    shown = sum(f" c{number} " in text for number in range(40))
    assert f"and {40 - shown} more" in text


@pytest.mark.parametrize("count", [0, 1, 40])
def test_the_containers_figures_stand_below_it(count: int) -> None:
    """As long as there are any; they take a row from the others, and no other row grows."""
    ours = replace(SCENE.containers[0], figures="CPU 98.5 %, memory 1.2 MB")
    others = [Shown(f"c{number}", "running") for number in range(count)]
    text = drawn(replace(SCENE, containers=[ours, *others]), 100, 30)
    rows = text.splitlines()
    at = next(number for number, row in enumerate(rows) if "demo-49af" in row.split("│")[0][:34])
    assert rows[at + 1].strip().startswith("CPU 98.5 %, memory 1.2 MB")
    shown = sum(f" c{number} " in text for number in range(count))
    assert (f"and {count - shown} more" in text) is (shown < count)
    assert len(rows) == 30


def test_the_log_is_cut_to_what_matters() -> None:
    """The time of day, the level, the text."""
    assert "03:02:01  WARN  the disk is full free_bytes=0" in drawn(SCENE, 100, 30)


@pytest.mark.parametrize(("width", "height"), [(20, 1), (59, 40), (100, 19)])
def test_a_terminal_that_was_made_too_small_says_so(width: int, height: int) -> None:
    """Somebody may shrink the window while it runs: one line, and no harm."""
    text = " ".join(drawn(SCENE, width, height).replace("\n", "").split())
    assert text == "Make the terminal larger: 64 columns, 20 rows"


REPORT = Report(
    emitted=10,
    received=10,
    waiting=0,
    repeated=0,
    requests=8,
    replies=8,
    longest_s=0.271,
    to_server=Traffic(21, 8600),
    to_agent=Traffic(10, 1900),
    reconnects=1,
    away_s=6.44,
    took_s=24.2,
)


@pytest.mark.parametrize(
    ("report", "sign", "verdict"),
    [
        (REPORT, "✔", "Nothing was lost."),
        (replace(REPORT, received=8), "✘", "2 events got lost. That must not happen."),
        (replace(REPORT, received=8, waiting=2), "✔", "Nothing was lost."),
        (replace(REPORT, failure="no image"), "✘", "The demo failed: no image"),
        (
            replace(REPORT, ended_early="The time was up in step 4 of 6"),
            "✔",
            "The time was up in step 4 of 6. Nothing was lost until then.",
        ),
        (
            replace(REPORT, left_behind=["docker rm -f -v 9ab3c1d2e4f5"]),
            "✘",
            "Nothing was lost, but not everything could be removed.",
        ),
    ],
)
def test_the_verdict_comes_first(report: Report, sign: str, verdict: str) -> None:
    """What came of it, and whether that is good; good is what exits with 0."""
    console = Console(file=io.StringIO(), width=200, color_system=None)
    with console.capture() as capture:
        console.print(summary(report))
    assert capture.get().splitlines()[0] == f"{sign} {verdict}"
    assert report.is_good == (sign == "✔")
