"""Watching the engine, as dialogues. Delays are as long as they may be."""

from __future__ import annotations

import pytest
from core.machines import arrived, engine_watch
from playbook import Play

from agent.core.engine_watch import (
    CaughtUp,
    EngineAnswered,
    EngineLost,
    EngineSilent,
    StreamEnded,
    StreamOverran,
)
from agent.core.machine import (
    Acquire,
    CancelActivity,
    Crashed,
    DeadlinePassed,
    Event,
    Note,
    Release,
    StartActivity,
    StopRequested,
)

ANSWERED = EngineAnswered("ENGN:AAAA", "27.3.1")
CAUGHT_UP = CaughtUp(replayed=12, inferred=0)


def test_from_the_first_probe_to_following() -> None:
    """Asked at once; the reader is open before anything is compared, so that nothing falls between."""
    assert (
        Play(engine_watch()).begin()
        << StartActivity("probe", 1, 60.0, 0.0)
        >> ANSWERED
        << CancelActivity(1)
        << Note("info", "the Docker engine answers: 27.3.1")
        << Acquire("event_reader", 1)
        << StartActivity("catch_up", 2, 120.0)
        >> CAUGHT_UP
        << CancelActivity(2)
        << StartActivity("follow", 3)
    )


def test_an_engine_that_is_away_is_asked_ever_more_seldom() -> None:
    """1 s, then twice as long each time, and never longer than a quarter of a minute."""
    machine = engine_watch()
    machine.begin()
    starts = [machine.handle(EngineSilent("no such file"))[-1] for _ in range(6)]
    assert starts == [
        StartActivity("probe", visit, 60.0, delay_s)
        for visit, delay_s in enumerate([1.0, 2.0, 4.0, 8.0, 15.0, 15.0], start=2)
    ]


@pytest.mark.parametrize(
    "end",
    [
        StreamEnded("the engine closed it"),
        EngineLost("the engine does not answer"),
        Crashed("follow", "ValueError: a defect"),
    ],
    ids=lambda event: event.trigger,
)
def test_an_engine_that_goes_away_is_waited_for(end: Event) -> None:
    """The reader is closed, and the next one reads what happened meanwhile."""
    assert (
        Play(engine_watch()).begin().through(ANSWERED, CAUGHT_UP)
        >> end
        << CancelActivity(3)
        << Release("event_reader", 1)
        << StartActivity("probe", 4, 60.0, 1.0)
        >> ANSWERED
        << CancelActivity(4)
        << Note("info", "the Docker engine answers: 27.3.1")
        << Acquire("event_reader", 2)
        << StartActivity("catch_up", 5, 120.0)
    )


def test_an_overrun_is_read_again_at_once() -> None:
    """The engine is there, so there is nothing to wait for; what was dropped is found by comparing."""
    assert (
        Play(engine_watch()).begin().through(ANSWERED, CAUGHT_UP)
        >> StreamOverran(dropped=8)
        << CancelActivity(3)
        << Release("event_reader", 1)
        << Note("warning", "8 engine events overran the buffer; comparing again")
        << StartActivity("probe", 4, 60.0, 0.0)
    )


def test_an_overrun_neither_waits_nor_forgets() -> None:
    """While catching up after a failure, too: the reading is repeated at once, and the next failure waits longer."""
    machine = engine_watch()
    machine.begin()
    for event in (EngineSilent("no such file"), ANSWERED, StreamOverran(dropped=8)):
        *_, probing = machine.handle(event)
    assert probing == StartActivity("probe", 4, 60.0, 0.0)
    *_, probing = machine.handle(EngineSilent("no such file"))
    assert probing == StartActivity("probe", 5, 60.0, 2.0)


def test_an_engine_that_answers_and_fails_is_not_asked_in_a_loop() -> None:
    """Only having caught up counts as success: an answer alone does not reset the delay."""
    machine = engine_watch()
    machine.begin()
    delays_s = []
    for end in (EngineLost("busy"), DeadlinePassed("catch_up"), Crashed("catch_up", "a defect")):
        machine.handle(ANSWERED)
        machine.handle(end)
        delays_s.append(machine.memory.delay_s)
    assert delays_s == [1.0, 2.0, 4.0]
    machine.handle(ANSWERED)
    machine.handle(CAUGHT_UP)
    machine.handle(EngineLost("gone"))
    assert machine.memory.delay_s == 1.0


@pytest.mark.parametrize("state", ["down", "catching_up", "following"])
def test_a_stop_is_obeyed_anywhere(state: str) -> None:
    """Whatever it is at: the reader is closed and nothing begins."""
    machine = arrived("engine", state)
    cancelled = CancelActivity(machine.visit)
    released = [Release(name, number) for name, number in machine.held.items()]
    assert machine.handle(StopRequested("SIGTERM")) == [cancelled, *released]
    assert machine.finished
