"""What every machine does with its chart, shown on a lamp."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from playbook import Play, everything_of
from transitions import MachineError

from agent.core.chart import Chart
from agent.core.machine import (
    Acquire,
    CancelActivity,
    ChartMachine,
    Crashed,
    DeadlinePassed,
    Event,
    EventRefused,
    Generation,
    Note,
    Release,
    StartActivity,
    StopRequested,
    Visit,
)

LAMP = Chart.model_validate(
    {
        "name": "lamp",
        "title": "A lamp that counts",
        "initial": "off",
        "outside": ["pressed", "stop_requested"],
        "resources": {"power": {"doc": "-"}, "light": {"doc": "-"}, "timer": {"doc": "-"}},
        "activities": {
            "wait": {"doc": "-", "posts": ["dimmed"], "until": "dimmed"},
            "shine": {"doc": "-", "posts": ["dimmed"], "deadline_s": 10},
        },
        "states": {
            "off": {"doc": "-", "does": "wait", "holds": ["power"]},
            "on": {"doc": "-", "does": "shine", "holds": ["power", "light", "timer"]},
            "gone": {"doc": "-", "final": True},
        },
        "transitions": [
            {"on": "pressed", "from": ["off"], "to": "on", "if": ["is_dark"], "then": ["count"]},
            {"on": "pressed", "from": ["off"], "to": "off", "then": ["grumble"]},
            {"on": "pressed", "from": ["on"], "to": "on", "then": ["count"]},
            {"on": "dimmed", "from": ["off", "on"], "does_not_move": True, "then": ["count"]},
            {"on": "deadline_passed", "from": ["on"], "to": "off"},
            {"on": "crashed", "from": ["off", "on"], "to": "off", "then": ["count", "grumble"]},
            {"on": "stop_requested", "from": ["off", "on"], "to": "gone", "then": ["grumble"]},
        ],
    }
)


@dataclass(frozen=True, slots=True)
class Pressed(Event):
    """By somebody."""

    finger: str = "index"
    fingerprint: str = field(default="loops and whorls", repr=False)


@dataclass(frozen=True, slots=True)
class Dimmed(Event): ...


@dataclass(frozen=True, slots=True)
class Dropped(Event):
    """No chart knows this one."""


class Lamp(ChartMachine):
    """`breaks` is raised by whatever is called `breaks_in`, after it did its part."""

    memory: int

    def __init__(self, *, at: str | None = None) -> None:
        super().__init__(LAMP, at=at)
        self.memory = 0
        self.dark = True
        self.breaks: Exception | None = None
        self.breaks_in = ""

    def is_dark(self, event: Event) -> bool:
        self._break("is_dark")
        return self.dark

    def count(self, event: Event) -> None:
        self.memory += 1
        self.note("info", f"{event.trigger} {self.memory}")
        self._break("count")

    def grumble(self, event: Event) -> None:
        self.note("warning", "why?")

    def briefing(self, activity: str) -> object:
        self._break("briefing")
        return self.memory if activity == "shine" else super().briefing(activity)

    def _break(self, where: str) -> None:
        if self.breaks is not None and self.breaks_in == where:
            raise self.breaks


def lamp(*, on: bool = False) -> Lamp:
    machine = Lamp()
    machine.begin()
    if on:
        machine.handle(Pressed())
    return machine


# Effects


def test_a_move_ends_what_was_before_it_begins_what_is_next() -> None:
    """Activity, releases newest first, notes, acquisitions in the chart's order, activity."""
    assert (
        Play(Lamp()).begin()
        << Acquire("power", 1)
        << StartActivity("wait", 1)
        >> Pressed()
        << CancelActivity(1)
        << Note("info", "pressed 1")
        << Acquire("light", 2)
        << Acquire("timer", 3)
        << StartActivity("shine", 2, deadline_s=10.0, briefing=1)
        >> DeadlinePassed("shine")
        << CancelActivity(2)
        << Release("timer", 3)
        << Release("light", 2)
        << StartActivity("wait", 3)
        >> StopRequested("SIGTERM")
        << CancelActivity(3)
        << Release("power", 1)
        << Note("warning", "why?")
    )


def test_a_move_to_the_same_state_begins_its_activity_anew() -> None:
    """What the state holds stays as it is; only the activity starts again, under the next visit."""
    assert (
        Play(lamp(on=True))
        >> Pressed()
        << CancelActivity(2)
        << Note("info", "pressed 2")
        << StartActivity("shine", 3, deadline_s=10.0, briefing=2)
    )


def test_an_event_that_moves_nothing_leaves_the_activity_alone() -> None:
    """It is taken notice of, and whoever is at work is still listened to."""
    machine = lamp(on=True)
    assert Play(machine) >> Dimmed() << Note("info", "dimmed 2")
    assert machine.expects(Visit(2))


def test_a_resource_acquired_again_is_another_one() -> None:
    """Its generation is new, so what the former one still says is not heard."""
    machine = lamp(on=True)
    former = Generation("light", machine.held["light"])
    machine.handle(DeadlinePassed("shine"))
    assert not machine.expects(former)
    assert Acquire("light", 4) in machine.handle(Pressed())
    assert not machine.expects(former)
    assert machine.expects(Generation("light", 4))


def test_a_final_state_holds_and_does_nothing() -> None:
    """The machine says that it is finished; nobody's answer is expected any more."""
    machine = lamp(on=True)
    tickets = [Visit(machine.visit), *(Generation(name, n) for name, n in machine.held.items())]
    assert not machine.finished
    machine.handle(StopRequested("SIGTERM"))
    assert machine.finished
    assert not any(machine.expects(ticket) for ticket in tickets)


def test_work_that_was_begun_before_goes_on_where_it_was() -> None:
    """A machine that begins elsewhere holds what that state holds, and does what it does."""
    assert (
        Play(Lamp(at="on")).begin()
        << Acquire("power", 1)
        << Acquire("light", 2)
        << Acquire("timer", 3)
        << StartActivity("shine", 1, deadline_s=10.0, briefing=0)
        >> DeadlinePassed("shine")
        << CancelActivity(1)
        << Release("timer", 3)
        << Release("light", 2)
        << StartActivity("wait", 2)
    )


def test_what_was_finished_is_finished() -> None:
    """Beginning in a final state asks for nothing."""
    machine = Lamp(at="gone")
    assert Play(machine).begin()
    assert machine.finished


def test_a_state_that_the_chart_does_not_have() -> None:
    """A record of another release may name one; nothing can begin there."""
    with pytest.raises(ValueError, match="lamp: there is no state 'flickering' to begin in"):
        Lamp(at="flickering")


# Choosing


def test_the_first_move_whose_guard_holds_wins() -> None:
    """In the chart's order, with the unguarded one last."""
    machine = lamp()
    machine.dark = False
    assert (
        Play(machine)
        >> Pressed()
        << CancelActivity(1)
        << Note("warning", "why?")
        << StartActivity("wait", 2)
    )
    machine.dark = True
    machine.handle(Pressed())
    assert machine.state == "on"


@pytest.mark.parametrize("event", [DeadlinePassed("shine"), Dropped()], ids=lambda e: e.trigger)
def test_an_unexpected_event_is_refused(event: Event) -> None:
    """Whether the chart knows it elsewhere or not at all: the error says what and where, and nothing moved."""
    machine = lamp()
    assert Play(machine).refuses(event)
    with pytest.raises(EventRefused) as refused:
        machine.handle(event)
    assert str(refused.value) == f"lamp: {event.trigger!r} is not expected in state 'off'"
    assert (refused.value.state, refused.value.event) == ("off", event)


def test_nothing_leads_past_the_chart() -> None:
    """The library underneath offers `to_<state>` methods unless told not to."""
    assert not [name for name in dir(lamp()) if name.startswith("to_")]


# All or nothing


@pytest.mark.parametrize("breaks_in", ["is_dark", "count", "briefing"])
@pytest.mark.parametrize("error", [ValueError, KeyError, AssertionError])
def test_a_move_that_fails_has_not_happened(breaks_in: str, error: type[Exception]) -> None:
    """A defect in a guard, an action or a briefing: state, memory, visit and resources are as before."""
    machine = lamp()
    before = everything_of(machine)
    machine.breaks, machine.breaks_in = error("a defect"), breaks_in
    with pytest.raises(error, match="a defect"):
        machine.handle(Pressed())
    assert everything_of(machine) == before


@pytest.mark.parametrize("error", [KeyError("a defect"), MachineError("a defect")], ids=repr)
def test_a_defect_is_not_taken_for_a_refusal(error: Exception) -> None:
    """The library's own errors, raised by a callback, blame the callback and not who posted the event."""
    machine = lamp()
    machine.breaks, machine.breaks_in = error, "count"
    with pytest.raises(type(error), match="a defect"):
        machine.handle(Pressed())


def test_a_failed_move_leaves_nothing_for_the_next() -> None:
    """No note of it is told later, no generation used twice."""
    machine = lamp()
    machine.breaks, machine.breaks_in = ValueError("a defect"), "briefing"
    with pytest.raises(ValueError, match="a defect"):
        machine.handle(Pressed())
    machine.breaks = None
    assert (
        Play(machine)
        >> Pressed()
        << CancelActivity(1)
        << Note("info", "pressed 1")
        << Acquire("light", 4)
        << Acquire("timer", 5)
        << StartActivity("shine", 2, deadline_s=10.0, briefing=1)
    )


def test_the_effects_of_a_move_are_its_own() -> None:
    """What was returned does not change with the next event."""
    machine = lamp(on=True)
    first = machine.handle(Dimmed())
    machine.handle(Dimmed())
    assert first == [Note("info", "dimmed 2")]


def test_callbacks_are_there_from_the_beginning() -> None:
    """A class that lacks one the chart names does not construct; it says which."""

    class Unfinished(ChartMachine):
        count = "not even a method"

        def is_dark(self, event: Event) -> bool:
            return True

    with pytest.raises(TypeError, match="Unfinished lacks count, grumble"):
        Unfinished(LAMP)


# Events


@pytest.mark.parametrize(
    ("event", "trigger"),
    [
        (Pressed, "pressed"),
        (DeadlinePassed, "deadline_passed"),
        (StopRequested, "stop_requested"),
        (Crashed, "crashed"),
    ],
)
def test_an_event_is_known_by_its_name(event: type[Event], trigger: str) -> None:
    """The chart's name is the class's, in snake case."""
    assert event.trigger == trigger


def test_an_event_tells_its_cause_and_no_secret() -> None:
    """One line for logs: fields with `repr=False` stay out of it."""
    assert str(Pressed("thumb")) == "pressed: thumb"
    assert str(Crashed("register", "ValueError: no")) == "crashed: register, ValueError: no"
    assert str(Dimmed()) == "dimmed"
