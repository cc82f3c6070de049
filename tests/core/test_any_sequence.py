"""Whatever happens, in whatever order: a runtime that does as it is told never ends up anywhere odd."""

from __future__ import annotations

from typing import ClassVar

from core.machines import EVENTS, MACHINES
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from playbook import everything_of

from agent.core.machine import (
    Acquire,
    CancelActivity,
    Effect,
    Event,
    EventRefused,
    Generation,
    Note,
    Release,
    StartActivity,
    Ticket,
    Visit,
)

ANY_EVENT = st.sampled_from([type(event) for event in EVENTS.values()]).flatmap(st.from_type)


class AnySequence(RuleBasedStateMachine):
    """Performs the effects of one machine on paper: what runs, what is open, what ever was."""

    chart: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.machine = MACHINES[self.chart]()
        self.running: dict[int, StartActivity] = {}  # by visit
        self.open: dict[str, int] = {}  # generations, in the order of acquisition
        self.past: list[Ticket] = []

    @initialize()
    def begins(self) -> None:
        self.perform(self.machine.begin())

    # What may happen

    @rule(event=ANY_EVENT)
    def anything(self, event: Event) -> None:
        """Refused, and then nothing has moved, or handled; never anything else."""
        before = everything_of(self.machine)
        try:
            effects = self.machine.handle(event)
        except EventRefused:
            assert everything_of(self.machine) == before
        else:
            self.perform(effects)

    @precondition(lambda self: not self.machine.finished)
    @rule(data=st.data())
    def what_the_chart_says_may_happen(self, data: st.DataObject) -> None:
        """What a state's own activity and resources may post is never refused."""
        posted = sorted({event for event, _ in self.machine.chart.posted_in(self.machine.state)})
        name = data.draw(st.sampled_from(posted))
        self.perform(self.machine.handle(data.draw(st.from_type(type(EVENTS[name])))))

    # What a runtime does about it

    def perform(self, effects: list[Effect]) -> None:
        released: list[int] = []
        order = (CancelActivity, Release, Note, Acquire, StartActivity)
        ranks = [order.index(type(effect)) for effect in effects]
        assert ranks == sorted(ranks), "ends come before beginnings"
        for effect in effects:
            match effect:
                case CancelActivity(visit):
                    del self.running[visit]
                    self.past.append(Visit(visit))
                case Release(resource, generation):
                    assert self.open.pop(resource) == generation
                    self.past.append(Generation(resource, generation))
                    released.append(generation)
                case Acquire(resource, generation):
                    assert resource not in self.open, "never two of the same"
                    assert Generation(resource, generation) not in self.past
                    assert generation > max(self.open.values(), default=0)
                    self.open[resource] = generation
                case StartActivity(visit=visit):
                    assert Visit(visit) not in self.past
                    self.running[visit] = effect
        assert released == sorted(released, reverse=True), "newest first"

    # What is always so

    @invariant()
    def what_is_open_is_what_the_state_holds(self) -> None:
        state = self.machine.chart.states[self.machine.state]
        assert self.open.keys() == set(state.holds) if self.machine.visit else not self.open
        assert self.open == self.machine.held

    @invariant()
    def what_runs_is_what_the_state_does(self) -> None:
        does = self.machine.chart.states[self.machine.state].does
        expected = {self.machine.visit: does} if does and self.machine.visit else {}
        assert {visit: start.activity for visit, start in self.running.items()} == expected

    @invariant()
    def there_is_a_way_out_in_time(self) -> None:
        """A state that is not the end has somebody at work whose own end is in sight."""
        if self.machine.finished or not self.machine.visit:
            return
        (start,) = self.running.values()
        activity = self.machine.chart.activities[start.activity]
        assert start.deadline_s == activity.deadline_s
        leaves = {
            move.on
            for move in self.machine.chart.transitions
            if self.machine.state in move.source and not move.does_not_move
        }
        assert ("deadline_passed" if activity.until is None else activity.until) in leaves

    @invariant()
    def the_end_is_the_end(self) -> None:
        if self.machine.finished:
            assert not self.running
            assert not self.open

    @invariant()
    def only_those_at_work_are_listened_to(self) -> None:
        assert not any(self.machine.expects(ticket) for ticket in self.past)
        assert all(self.machine.expects(Visit(visit)) for visit in self.running)
        assert all(self.machine.expects(Generation(*held)) for held in self.open.items())


class AnyLifecycle(AnySequence):
    chart = "lifecycle"


class AnyEngineWatch(AnySequence):
    chart = "engine"


class AnyComposeDeployment(AnySequence):
    chart = "compose_deployment"


class AnyContainerUpdate(AnySequence):
    chart = "container_update"


TestComposeDeployment = AnyComposeDeployment.TestCase
TestContainerUpdate = AnyContainerUpdate.TestCase
TestLifecycle = AnyLifecycle.TestCase
TestEngineWatch = AnyEngineWatch.TestCase
TestComposeDeployment.settings = TestContainerUpdate.settings = TestLifecycle.settings = (
    TestEngineWatch.settings
) = settings(max_examples=100, stateful_step_count=40)
