"""Scripts for machines: `>>` an event goes in, `<<` an effect comes out.

    assert (
        Play(machine).begin()
        << StartActivity("probe", 1, 60.0, 0.0)
        >> EngineSilent("no such file")
        << CancelActivity(1)
        << StartActivity("probe", 2, 60.0, ANY)
    )

Every effect has to be told, in order; `assert` is what notices that there was one more.
"""

from __future__ import annotations

from typing import Any, Self

import pytest

from agent.core.machine import ChartMachine, Effect, Event, EventRefused


def everything_of(machine: ChartMachine) -> tuple[Any, ...]:
    """All that a move may change, to be compared before and after one that must not have happened."""
    return machine.state, machine.memory, machine.visit, dict(machine.held)


class Play:
    """A machine and the effects of the last event that have not been told yet."""

    def __init__(self, machine: ChartMachine) -> None:
        self.machine = machine
        self._due: list[Effect] = []

    def begin(self) -> Self:
        """Enters the initial state."""
        self._due = self.machine.begin()
        return self

    def through(self, *events: Event) -> Self:
        """Plays on to where the scene begins: what `events` cause is told elsewhere."""
        for event in events:
            self.machine.handle(event)
        self._due = []
        return self

    def refuses(self, event: Event) -> Self:
        """`event` is not expected here, and nothing moved."""
        self._nothing_is_due()
        before = everything_of(self.machine)
        with pytest.raises(EventRefused):
            self.machine.handle(event)
        assert everything_of(self.machine) == before
        return self

    def __rshift__(self, event: Event) -> Self:
        self._nothing_is_due()
        self._due = self.machine.handle(event)
        return self

    def __lshift__(self, effect: object) -> Self:
        assert self._due, f"{effect} was expected, but nothing more came out"
        assert self._due[0] == effect, f"{effect} was expected, but {self._due[0]} came out"
        del self._due[0]
        return self

    def __bool__(self) -> bool:
        self._nothing_is_due()
        return True

    def _nothing_is_due(self) -> None:
        assert not self._due, f"not told: {', '.join(map(str, self._due))}"
