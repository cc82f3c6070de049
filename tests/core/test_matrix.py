"""Every event in every state, and that charts and code name the same things."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest
from core.machines import EVENTS, MACHINES, arrived
from playbook import Play

import agent.core
from agent.core.chart import Chart
from agent.core.machine import ChartMachine, Event

CHARTS = {name: Chart.load(name) for name in Chart.names()}

MATRIX = [
    pytest.param(chart.name, state, trigger, id=f"{chart.name}-{state}-{trigger}")
    for chart in CHARTS.values()
    for state in chart.states
    for trigger in sorted(EVENTS)
]


@pytest.mark.parametrize(("chart", "state", "trigger"), MATRIX)
def test_every_event_in_every_state(chart: str, state: str, trigger: str) -> None:
    """The machine does what the chart says, or refuses and nothing moves: there is no third way."""
    machine = arrived(chart, state)
    moves = [t for t in machine.chart.transitions if t.on == trigger and state in t.source]
    if not moves:
        assert Play(machine).refuses(EVENTS[trigger])
        return
    visit = machine.visit
    machine.handle(EVENTS[trigger])
    went = (machine.state, machine.visit)
    assert went in [
        (state, visit) if move.does_not_move else (move.to, visit + 1) for move in moves
    ]


def event_classes() -> Iterator[type[Event]]:
    for module in pkgutil.walk_packages(agent.core.__path__, "agent.core."):
        for _, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(found, Event) and found is not Event:
                yield found


def test_every_chart_has_a_machine() -> None:
    """What is in `statecharts/` is at work, and tested here."""
    assert CHARTS.keys() == MACHINES.keys()


def test_every_event_is_a_trigger_and_every_trigger_an_event() -> None:
    """Neither the charts nor the code speak of something that the other does not know."""
    named = {trigger for chart in CHARTS.values() for trigger in chart.triggers}
    assert {event.trigger for event in event_classes()} == named
    assert set(EVENTS) == named


def test_no_two_events_share_a_trigger() -> None:
    """A name in a chart means one class."""
    classes = set(event_classes())
    assert len(classes) == len({event.trigger for event in classes})


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_has_what_its_chart_names_and_no_more(name: str) -> None:
    """Guards and actions are methods; a public method that no chart names would never run."""
    offered = {
        attribute
        for attribute, _ in inspect.getmembers(type(MACHINES[name]()), inspect.isfunction)
        if not attribute.startswith("_") and not hasattr(ChartMachine, attribute)
    }
    assert offered == CHARTS[name].callbacks
