"""Reads a statechart and refuses what `transitions` would accept in silence."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

CRASHED = "crashed"
"""What escapes an activity or a resource becomes this event; every state that does something says where it leads."""

DEADLINE_PASSED = "deadline_passed"
"""Posted when an activity with a `deadline_s` is still at work then."""

Point = tuple[float, float]

_FOLDER = files("statecharts")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Resource(_Table):
    """Something a state holds: acquired on the way in, released on the way out, kept where both states hold it."""

    doc: str
    posts: tuple[str, ...] = ()


class Activity(_Table):
    """The one thing a state does. It ends by itself, at `deadline_s` (seconds), or lasts `until` that event."""

    doc: str
    posts: tuple[str, ...] = ()
    deadline_s: float | None = Field(None, gt=0)
    until: str | None = None

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if (self.deadline_s is None) is (self.until is None):
            raise ValueError("an activity gives either 'deadline_s' or 'until'")
        return self


class State(_Table):
    doc: str
    holds: tuple[str, ...] = ()
    does: str | None = None
    final: bool = False
    at: Point = (0, 0)  # where pictures put its centre, in grid units
    via: dict[str, Point] = {}  # where pictures bend the arrow to that state, in grid units


class Transition(_Table):
    """One arrow for each state in `source`. Without `to` the event is taken notice of and nothing moves."""

    on: str
    source: tuple[str, ...] = Field(alias="from", min_length=1)
    to: str | None = None
    does_not_move: bool = False
    guards: tuple[str, ...] = Field((), alias="if")
    then: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _moves_or_says_not(self) -> Self:
        if (self.to is None) is not self.does_not_move:
            raise ValueError(f"{self.on}: give either 'to' or 'does_not_move'")
        return self


class Chart(_Table):
    """A checked statechart: what constructs is sound. Every name resolves, every move can happen, every state ends."""

    name: str
    title: str
    initial: str
    outside: tuple[
        str, ...
    ] = ()  # events that no activity or resource posts: a person, the server, a signal
    resources: dict[str, Resource] = {}
    activities: dict[str, Activity] = {}
    states: dict[str, State]
    transitions: tuple[Transition, ...]

    @staticmethod
    def names() -> tuple[str, ...]:
        """What `load` can load, in alphabetical order."""
        return tuple(
            sorted(
                entry.name.removesuffix(".toml")
                for entry in _FOLDER.iterdir()
                if entry.name.endswith(".toml")
            )
        )

    @classmethod
    def load(cls, name: str) -> Self:
        """The chart `statecharts/<name>.toml`.

        Raises:
            pydantic.ValidationError: The chart is unsound; the text names every fault found first in its kind.
        """
        text = _FOLDER.joinpath(f"{name}.toml").read_text("utf-8")
        return cls.model_validate(tomllib.loads(text))

    @property
    def triggers(self) -> frozenset[str]:
        return frozenset(t.on for t in self.transitions)

    @property
    def callbacks(self) -> frozenset[str]:
        """Names of the guards and actions that the machine's class has to provide."""
        return frozenset(name for t in self.transitions for name in (*t.guards, *t.then))

    def handled_in(self, state: str) -> frozenset[str]:
        return frozenset(t.on for t in self.transitions if state in t.source)

    def posted_in(self, state: str) -> Iterator[tuple[str, str]]:
        """(event, who posts it) for all that can arrive from inside while in `state`."""
        spec = self.states[state]
        for held in spec.holds:
            yield from ((event, f"resource {held!r}") for event in self.resources[held].posts)
        if spec.does is not None:
            activity = self.activities[spec.does]
            yield from ((event, f"activity {spec.does!r}") for event in activity.posts)
            if activity.deadline_s is not None:
                yield DEADLINE_PASSED, f"activity {spec.does!r}"
        if spec.does is not None or spec.holds:
            yield CRASHED, "whatever fails"

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        # The order matters: the later checks look names up that the earlier ones have proved.
        for check in (self._names, self._choices, self._ends, self._answers, self._reach):
            if faults := list(check()):
                raise ValueError("; ".join(faults))
        return self

    def _names(self) -> Iterator[str]:
        if self.initial not in self.states:
            yield f"the initial state {self.initial!r} is not declared"
        for name, state in self.states.items():
            if state.does is not None and state.does not in self.activities:
                yield f"{name}: no activity {state.does!r}"
            yield from (
                f"{name}: no resource {r!r}" for r in state.holds if r not in self.resources
            )
            yield from (f"{name}: no state {s!r}" for s in state.via if s not in self.states)
        for t in self.transitions:
            named = (*t.source, *([t.to] if t.to is not None else []))
            yield from (f"{t.on}: no state {s!r}" for s in named if s not in self.states)
        used = {s.does for s in self.states.values()}
        yield from (f"activity {a!r} belongs to no state" for a in self.activities if a not in used)
        held = {r for s in self.states.values() for r in s.holds}
        yield from (f"resource {r!r} is held by no state" for r in self.resources if r not in held)

    def _choices(self) -> Iterator[str]:
        """First match wins, so nothing may follow an unguarded move and every choice needs one at its end."""
        settled: set[tuple[str, str]] = set()
        open_choices: set[tuple[str, str]] = set()
        for t in self.transitions:
            for source in t.source:
                if self.states[source].final:
                    yield f"{t.on}: {source!r} is final, nothing leaves it"
                if (source, t.on) in settled:
                    yield f"{t.on} from {source!r} can never happen, an earlier one always wins"
                (open_choices if t.guards else settled).add((source, t.on))
        for source, on in sorted(open_choices - settled):
            yield f"{on} from {source!r} is undecided when no guard holds"

    def _ends(self) -> Iterator[str]:
        for name, state in self.states.items():
            if state.final and (state.does or state.holds):
                yield f"{name}: a final state does and holds nothing"
            if state.final:
                continue
            if state.does is None:
                yield f"{name}: does nothing, so nothing ends it"
            if not any(name in t.source and t.to not in (None, name) for t in self.transitions):
                yield f"{name}: has no exit"

    def _answers(self) -> Iterator[str]:
        posted = set(self.outside)
        for name, state in self.states.items():
            arriving = dict(self.posted_in(name))
            posted |= arriving.keys()
            handled = self.handled_in(name)
            for event, poster in arriving.items():
                if event not in handled:
                    yield f"{name}: {poster} may post {event!r}, which is not handled there"
            until = self.activities[state.does].until if state.does is not None else None
            if until is not None and until not in arriving:
                yield f"{name}: lasts until {until!r}, which nobody posts there"
        yield from (f"nobody posts {event!r}" for event in sorted(self.triggers - posted))
        yield from (
            f"nothing handles {event!r}" for event in self.outside if event not in self.triggers
        )

    def _reach(self) -> Iterator[str]:
        arrows = {(s, t.to) for t in self.transitions for s in t.source if t.to is not None}
        reached = _closure({self.initial}, arrows)
        yield from (f"{name}: cannot be reached" for name in self.states if name not in reached)
        final = {name for name, state in self.states.items() if state.final}
        if not final:
            yield "there is no final state"
        leads_there = _closure(final, {(to, source) for source, to in arrows})
        yield from (
            f"{n}: no way leads from it to an end" for n in self.states if n not in leads_there
        )


def _closure(start: set[str], arrows: set[tuple[str, str]]) -> set[str]:
    reached, frontier = set(start), set(start)
    while frontier:
        frontier = {to for source, to in arrows if source in frontier} - reached
        reached |= frontier
    return reached
