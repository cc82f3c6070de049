"""The words at arrows and in boxes, in the notation of UML: `event [guard] / action`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agent.core.chart import Activity, Chart

Pair = tuple[tuple[str, ...], tuple[str, ...]]


class Word(NamedTuple):
    """`role` says how to colour it: name, event, guard, action, sources, does, holds, limit."""

    text: str
    role: str


Line = tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Clause:
    """Events that mean the same: one `[guard]`, one `/ action`."""

    events: tuple[str, ...]
    guards: tuple[str, ...]
    actions: tuple[str, ...]

    @property
    def words(self) -> list[Word]:
        *others, last = self.events
        return [
            *(Word(f"{event},", "event") for event in others),
            Word(last, "event"),
            *([Word(f"[{' and '.join(self.guards)}]", "guard")] if self.guards else []),
            *([Word(f"/ {', '.join(self.actions)}", "action")] if self.actions else []),
        ]

    def __str__(self) -> str:
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Connection:
    """All that leads from `sources` to `target`: one arrow, or one beside the target when the sources are many."""

    sources: tuple[str, ...]
    target: str
    clauses: tuple[Clause, ...]

    @property
    def events(self) -> tuple[str, ...]:
        return tuple(event for clause in self.clauses for event in clause.events)


def arrows(chart: Chart) -> tuple[Connection, ...]:
    """One connection for every two states between which something moves."""
    return connections(chart, common_from=None)


def connections(chart: Chart, *, common_from: int | None) -> tuple[Connection, ...]:
    """As `arrows`, but what leads to one target from `common_from` sources, or from all of three, is one connection."""
    inner = [name for name, state in chart.states.items() if not state.final]
    found: dict[tuple[tuple[str, ...], str], dict[Pair, list[str]]] = {}
    for (to, on, pair), sources in _by_meaning(chart).items():
        ordered = tuple(name for name in inner if name in sources)
        common = common_from is not None and len(ordered) >= min(common_from, max(3, len(inner)))
        for where in [ordered] if common else [(source,) for source in ordered]:
            found.setdefault((where, to), {}).setdefault(pair, []).append(on)
    return tuple(
        Connection(sources, target, _clauses(pairs)) for (sources, target), pairs in found.items()
    )


def noticed_in(chart: Chart, state: str) -> tuple[Clause, ...]:
    """What `state` takes notice of without moving."""
    found: dict[Pair, list[str]] = {}
    for t in chart.transitions:
        if t.to is None and state in t.source:
            found.setdefault((t.guards, t.then), []).append(t.on)
    return _clauses(found)


def whence(chart: Chart, sources: Sequence[str], *, brief: bool = False) -> str:
    """`sources` in words, short where they are nearly all; `brief` is never long."""
    missing = [n for n, s in chart.states.items() if not s.final and n not in sources]
    if not missing:
        return "any state"
    if brief:
        return f"{len(sources)} states"
    if len(missing) < len(sources) / 2:
        return f"any but {', '.join(missing)}"
    return ", ".join(sources)


def limit(activity: Activity) -> str:
    """How an activity ends if it does not by itself: `≤ 90 s`, `until link_lost`."""
    if activity.until is not None:
        return f"until {activity.until}"
    assert activity.deadline_s is not None
    if activity.deadline_s >= 120 and activity.deadline_s % 60 == 0:
        return f"≤ {activity.deadline_s / 60:g} min"
    return f"≤ {activity.deadline_s:g} s"


def wrapped(words: Iterable[Word], width: int) -> list[Line]:
    """Lines of at most `width` characters, longer only where one word is."""
    lines: list[list[Word]] = []
    room = -1
    for word in words:
        room -= len(word.text) + 1
        if room < 0 or not lines:
            lines.append([])
            room = width - len(word.text)
        lines[-1].append(word)
    return [tuple(line) for line in lines]


def length(line: Line) -> int:
    """In characters, a blank between words."""
    return sum(len(word.text) for word in line) + max(0, len(line) - 1)


def _by_meaning(chart: Chart) -> dict[tuple[str, str, Pair], list[str]]:
    """(target, event, (guards, actions)) → the states where that is so."""
    meanings: dict[tuple[str, str, Pair], list[str]] = {}
    asked: set[tuple[str, str]] = set()
    for t in chart.transitions:
        for source in t.source:
            # First match wins, so what follows a guard on the same event is its else.
            guards = t.guards or (("else",) if (source, t.on) in asked else ())
            if t.guards:
                asked.add((source, t.on))
            if t.to is not None:
                meanings.setdefault((t.to, t.on, (guards, t.then)), []).append(source)
    return meanings


def _clauses(found: dict[Pair, list[str]]) -> tuple[Clause, ...]:
    return tuple(Clause(tuple(events), *pair) for pair, events in found.items())
