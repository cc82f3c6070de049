"""Runs a chart: an event goes in, a list of effects comes out. No clock, no I/O, no waiting."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from transitions import EventData, Machine

from agent.core.chart import Chart

# Events: what happened, named in the past.


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. The chart knows it as `trigger`, the class's name in snake case."""

    trigger: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        cls.trigger = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def __str__(self) -> str:
        """For logs: the trigger, then what is known of the cause. Fields with `repr=False` are secrets."""
        told = [str(getattr(self, f.name)) for f in fields(self) if f.repr]
        return f"{self.trigger}: {', '.join(told)}" if told else self.trigger


@dataclass(frozen=True, slots=True)
class Crashed(Event):
    """An exception escaped the activity or resource `what`: a defect of ours, contained."""

    what: str
    error: str


@dataclass(frozen=True, slots=True)
class DeadlinePassed(Event):
    """`what` was still at work after its `deadline_s`, and was ended."""

    what: str


@dataclass(frozen=True, slots=True)
class StopRequested(Event):
    """A signal, or whoever started us, wants an orderly end."""

    cause: str


# Effects: what is to be done, named in the imperative.


@dataclass(frozen=True, slots=True)
class Effect: ...


@dataclass(frozen=True, slots=True)
class CancelActivity(Effect):
    visit: int


@dataclass(frozen=True, slots=True)
class Release(Effect):
    resource: str
    generation: int


@dataclass(frozen=True, slots=True)
class Acquire(Effect):
    resource: str
    generation: int


@dataclass(frozen=True, slots=True)
class StartActivity(Effect):
    """Begin `activity`; what it posts carries `visit`. `briefing` is what it has to know, or None."""

    activity: str
    visit: int
    deadline_s: float | None = None
    briefing: object = None


@dataclass(frozen=True, slots=True)
class Note(Effect):
    """One line for people, at a `logging` level name in lower case."""

    level: str
    text: str


# Tickets: which question an event answers. An answer to a question no longer asked is dropped.


@dataclass(frozen=True, slots=True)
class Visit:
    """Posted by the activity of that visit of a state."""

    number: int


@dataclass(frozen=True, slots=True)
class Generation:
    """Posted by that acquisition of a resource, whatever state holds it by now."""

    resource: str
    number: int


Ticket = Visit | Generation | None
"""None: it comes from outside and is never late."""


class EventRefused(Exception):
    """The chart has no move for this event in this state, and nothing moved: a defect of whoever posted it."""

    def __init__(self, chart: str, state: str, event: Event) -> None:
        super().__init__(f"{chart}: {event.trigger!r} is not expected in state {state!r}")
        self.state, self.event = state, event


class ChartMachine:
    """A chart at work. Subclasses provide the guards and actions it names and what they remember.

    `memory` is an immutable value that actions replace, so that a move which fails half-way leaves nothing behind.

    Args:
        at: The state to begin in, for work that a process before us began; None for the chart's own.

    Raises:
        TypeError: The subclass lacks a guard or an action.
        ValueError: The chart has no state `at`.
    """

    state: str
    memory: Any = None

    def __init__(self, chart: Chart, *, at: str | None = None) -> None:
        if at is not None and at not in chart.states:
            raise ValueError(f"{chart.name}: there is no state {at!r} to begin in")
        missing = sorted(n for n in chart.callbacks if not callable(getattr(self, n, None)))
        if missing:
            raise TypeError(f"{type(self).__name__} lacks {', '.join(missing)}")
        self.chart = chart
        self.visit = 0
        self.held: dict[str, int] = {}
        self._acquisitions = 0
        self._entered = False
        self._notes: list[Effect] = []
        self._machine = Machine(
            self,
            states=[
                {"name": name, "on_enter": [self._enter], "final": state.final}
                for name, state in chart.states.items()
            ],
            transitions=[
                {
                    "trigger": t.on,
                    "source": list(t.source),
                    "dest": t.to,
                    "conditions": [self._callback(name) for name in t.guards],
                    "after": [self._callback(name) for name in t.then],
                }
                for t in chart.transitions
            ],
            initial=at or chart.initial,
            auto_transitions=False,
            send_event=True,
        )

    @property
    def finished(self) -> bool:
        return self.chart.states[self.state].final

    def begin(self) -> list[Effect]:
        """What entering the first state asks for. Called once, before any event."""
        return self._arrive()

    def handle(self, event: Event) -> list[Effect]:
        """Decides what `event` means now and returns what must be done, in order. All or nothing.

        Raises:
            EventRefused: The chart does not expect it here. State, memory and resources are as before.
        """
        if event.trigger not in self.chart.handled_in(self.state):
            raise EventRefused(self.chart.name, self.state, event)
        before, remembered, visit, held = self.state, self.memory, self.visit, dict(self.held)
        self._entered, self._notes = False, []
        try:
            self._machine.events[event.trigger].trigger(self, event)
            if not self._entered:
                return self._notes
            return [*self._depart(before), *self._notes, *self._arrive()]
        except BaseException:
            self.state, self.memory, self.visit, self.held = before, remembered, visit, held
            raise

    def expects(self, ticket: Ticket) -> bool:
        """Whether whoever holds `ticket` is still listened to."""
        match ticket:
            case Visit(number):
                return number == self.visit
            case Generation(resource, number):
                return self.held.get(resource) == number
            case None:
                return True

    def briefing(self, activity: str) -> object:
        """What `activity` has to know when it starts. The default: nothing."""
        return None

    def note(self, level: str, text: str) -> None:
        """For guards and actions: one line for people about the move being made."""
        self._notes.append(Note(level, text))

    def _depart(self, before: str) -> list[Effect]:
        kept = self.chart.states[self.state].holds
        gone = [r for r in reversed(self.chart.states[before].holds) if r not in kept]
        return [CancelActivity(self.visit), *(Release(r, self.held.pop(r)) for r in gone)]

    def _arrive(self) -> list[Effect]:
        self.visit += 1
        entered = self.chart.states[self.state]
        effects: list[Effect] = []
        for resource in entered.holds:
            if resource not in self.held:
                self._acquisitions += 1
                self.held[resource] = self._acquisitions
                effects.append(Acquire(resource, self._acquisitions))
        if entered.does is not None:
            deadline_s = self.chart.activities[entered.does].deadline_s
            briefing = self.briefing(entered.does)
            effects.append(StartActivity(entered.does, self.visit, deadline_s, briefing))
        return effects

    def _enter(self, _: EventData) -> None:
        self._entered = True

    def _callback(self, name: str) -> Callable[[EventData], object]:
        method: Callable[[Event], object] = getattr(self, name)

        def call(data: EventData) -> object:
            (event,) = data.args
            return method(event)

        return call
