"""Carries out what the charts decide. All tasks start here, all events pass through one inbox."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from agent.core.machine import (
    Acquire,
    CancelActivity,
    ChartMachine,
    Crashed,
    DeadlinePassed,
    Effect,
    Event,
    EventRefused,
    Generation,
    Note,
    Release,
    StartActivity,
    StopRequested,
    Ticket,
    Visit,
)
from agent.ports import Activity, Beat, Resource
from agent.runtime.region import Region, TaskScope

PULSE_S = 5.0
"""The watchdog waits 30 s: five pulses may be late before a stalled loop is taken for one."""

END_S = 2.0
"""What a cancelled activity, a released resource or a detached job gets to end in good order."""

STOP_S = 3.0
"""All of them together once a stop was requested: a second to finish requests, one and a half for the close frame."""

LAST_S = 0.1
"""What each part that comes after `STOP_S` still gets, so that one that hangs does not spoil the end of the others."""

INBOX = 1024
"""Events waiting to be decided. Even a bad minute posts a few dozen, so a full inbox is a defect of ours."""

log = logging.getLogger("agent.runtime")


@dataclass(frozen=True, slots=True)
class Move:
    """One event that was decided. `at_s` is the loop's time; nothing moved if `before` is `after` and not `entered`."""

    at_s: float
    chart: str
    event: Event
    before: str
    after: str
    entered: bool


@dataclass(frozen=True, slots=True)
class _Posted:
    region: Region
    ticket: Ticket
    event: Event


@dataclass(frozen=True, slots=True)
class _Joined:
    """A chart that is to begin while the others are at work."""

    region: Region


class Runtime:
    """Runs several charts side by side until all have reached a final state.

    The first one added leads: when it is final, the others are told to stop.

    Args:
        beat: Pulsed every few seconds from the loop that decides, so that a stall of either is noticed.
        strict: Raise what a chart refuses instead of logging it. For tests: in production a lost move is better
            than a lost agent.
    """

    def __init__(self, *, beat: Beat, strict: bool = False) -> None:
        self.regions: dict[str, Region] = {}
        self.refused = 0
        self._beat, self._strict = beat, strict
        self._inbox: asyncio.Queue[_Posted | _Joined | None] = asyncio.Queue(INBOX)
        self._lead: Region | None = None
        self._jobs: dict[str, asyncio.Future[str]] = {}  # by the name of the region
        self._stopping: StopRequested | None = None
        self._overran = False
        # A task group would wait for ever for one that does not end.
        self._tasks: set[asyncio.Task[None]] = set()
        self._end_by_s = math.inf
        self._observers: list[Callable[[Move], None]] = []

    def add(self, region: Region) -> None:
        """Adds a chart, before `run`."""
        self._lead = self._lead or region
        self.regions[region.name] = region

    def conduct(
        self,
        machine: ChartMachine,
        activities: Mapping[str, Activity],
        *,
        subject: str,
        resources: Mapping[str, Resource] | None = None,
    ) -> asyncio.Future[str]:
        """As `agent.ports.Conduct`: it joins the others, is told to stop with them, and leaves at its final state.

        Raises:
            ValueError: One of this chart with this subject is under way.
        """
        region = Region(machine, activities, resources or {}, subject)
        if region.name in self._jobs:
            raise ValueError(f"{region.name} is under way")
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._jobs[region.name] = ended
        self.regions[region.name] = region
        self._put(_Joined(region))
        if self._stopping is not None:
            self._post(region, None, self._stopping)
        return ended

    def observe(self, observer: Callable[[Move], None]) -> None:
        """Calls `observer` after each decision, before it is carried out. It must neither wait nor raise."""
        self._observers.append(observer)

    def states(self) -> dict[str, str]:
        return {name: region.machine.state for name, region in self.regions.items()}

    def post(self, event: Event, *, chart: str | None = None) -> None:
        """Tells one chart, or all, something that comes from outside. Only from the loop's own thread."""
        leads = self._lead is not None and chart == self._lead.name
        if isinstance(event, StopRequested) and (chart is None or leads):
            self._end_by_s = min(self._end_by_s, asyncio.get_running_loop().time() + STOP_S)
            if chart is None:
                self._stopping = event
        for region in self.regions.values():
            if chart in (None, region.name):
                self._post(region, None, event)

    def detach(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Starts a job that belongs to no state: it outlives sessions, and ends with the agent at the latest."""
        self._start(work, name, partial(_complain, f"job {name}"))

    async def run(self) -> None:
        """Begins every chart and returns when all are final and everything they held is released.

        Raises:
            ExceptionGroup: The runtime itself, or a machine, does not work as it should.
        """
        self._start(self._pulse(), "pulse", partial(_complain, "the pulse"))
        try:
            for name, region in list(self.regions.items()):
                if name not in self._jobs:  # a job begins when its turn comes in the inbox
                    await self._perform(region, region.machine.begin())
            while not all(region.machine.finished for region in self.regions.values()):
                posted = await self._inbox.get()
                if self._overran:
                    raise RuntimeError(f"more than {INBOX} events waited to be decided")
                match posted:
                    case None:
                        self._beat.pulse(self.states())
                    case _Joined(region):
                        await self._perform(region, region.machine.begin())
                    case _Posted():
                        await self._decide(posted)
        # What went wrong here cannot be contained: whoever runs the process has to begin anew.
        except Exception as defect:
            raise ExceptionGroup("the runtime failed", [defect]) from defect
        finally:
            for ended in self._jobs.values():
                ended.cancel()
            await self._end(self._tasks)

    # Deciding

    def _post(self, region: Region, ticket: Ticket, event: Event) -> None:
        self._put(_Posted(region, ticket, event))

    def _put(self, item: _Posted | _Joined) -> None:
        try:
            self._inbox.put_nowait(item)
        except asyncio.QueueFull:
            self._overran = True  # not raised here: whoever posts is not to blame

    def _leave(self, region: Region) -> None:
        """A chart that was conducted has come to its end; the others stay until all have."""
        if (ended := self._jobs.pop(region.name, None)) is not None:
            del self.regions[region.name]
            if not ended.done():
                ended.set_result(region.machine.state)

    async def _decide(self, posted: _Posted) -> None:
        region, machine, event = posted.region, posted.region.machine, posted.event
        if not machine.expects(posted.ticket) or machine.finished:
            return  # a late answer to a question no longer asked
        before, visit = machine.state, machine.visit
        try:
            effects = machine.handle(event)
        except EventRefused as refusal:
            if self._strict:
                raise
            self.refused += 1
            log.error("an event was refused: %s", refusal)
            if posted.ticket is not None and not isinstance(event, Crashed):
                # Whoever gave this answer gives no other, and the state would last for ever.
                self._post(region, posted.ticket, Crashed(_who(posted), str(refusal)))
            return
        entered = machine.visit != visit
        move = Move(
            asyncio.get_running_loop().time(), region.name, event, before, machine.state, entered
        )
        for observer in self._observers:
            observer(move)
        if machine.finished and region is self._lead:
            self.post(StopRequested(f"{region.name}: {event.trigger}"))
        await self._perform(region, effects)
        if machine.finished:
            self._leave(region)

    # Doing

    async def _perform(self, region: Region, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case CancelActivity(visit):
                    if (task := region.running.pop(visit, None)) is not None:
                        await self._end([task])
                case Release(resource):
                    await self._release(region, resource)
                case Acquire(resource, generation):
                    self._acquire(region, resource, generation)
                case StartActivity():
                    self._begin(region, effect)
                case Note(level, text):
                    log.log(logging.getLevelNamesMapping()[level.upper()], "%s", text)

    def _begin(self, region: Region, start: StartActivity) -> None:
        async def work() -> None:
            event = await region.activities[start.activity](start.briefing)
            self._post(region, visit, event)

        visit = Visit(start.visit)
        crashed = partial(self._crashed, region, visit, start.activity)
        task = self._start(work(), f"{start.activity}#{start.visit}", crashed)
        region.running[start.visit] = task
        if start.deadline_s is not None:
            # The event leads out of the state, and that ends the activity: be it one that does not let itself be ended.
            late = DeadlinePassed(start.activity)
            timer = asyncio.get_running_loop().call_later(
                start.deadline_s, self._post, region, visit, late
            )
            task.add_done_callback(lambda _: timer.cancel())

    def _acquire(self, region: Region, resource: str, generation: int) -> None:
        def post(ticket: Ticket, event: Event) -> None:
            self._post(region, ticket, event)

        def start(work: Coroutine[Any, Any, None], name: str, ticket: Ticket) -> asyncio.Task[None]:
            crashed = partial(self._crashed, region, ticket, resource)
            return self._start(work, f"{resource}#{generation}.{name}", crashed)

        scope = TaskScope(post, start, Generation(resource, generation))
        region.scopes[resource] = scope
        try:
            region.resources[resource].acquire(scope)
        # As with everything a resource does: the chart says where it leads.
        except Exception as error:
            self._crashed(region, scope.ticket, resource, error)

    async def _release(self, region: Region, resource: str) -> None:
        scope, held = region.scopes.pop(resource), region.resources[resource]
        what = f"releasing {resource}"

        def failed(error: BaseException) -> None:
            # The state has been left: what is left of the resource has to go too.
            _complain(what, error)
            _abort(held, what)

        release = self._start(held.release(), what, failed)
        done, _ = await asyncio.wait({release}, timeout=self._patience_s())
        if not done:
            log.warning("%s: %s takes too long and is cut short", region.name, what)
            _abort(held, what)
        await self._end([release, *scope.tasks])

    def _crashed(self, region: Region, ticket: Ticket, what: str, error: BaseException) -> None:
        log.error("%s: %s failed", region.name, what, exc_info=error)
        self._post(region, ticket, Crashed(what, f"{type(error).__name__}: {error}"))

    async def _pulse(self) -> None:
        while True:
            if not self._inbox.full():
                self._inbox.put_nowait(None)
            await asyncio.sleep(PULSE_S)

    # Tasks

    def _start(
        self, work: Coroutine[Any, Any, None], name: str, failed: Callable[[BaseException], None]
    ) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(_guarded(work, failed), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # for one cancelled before its first step
        return task

    async def _end(self, tasks: Collection[asyncio.Task[None]]) -> None:
        """Cancels `tasks` and waits for them, not for ever: one that will not end is reported and left behind."""
        tasks = [task for task in tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=self._patience_s())
            for task in stuck:
                log.error("task %s does not end", task.get_name())

    def _patience_s(self) -> float:
        rest_s = self._end_by_s - asyncio.get_running_loop().time()
        return min(END_S, max(LAST_S, rest_s))


def _who(posted: _Posted) -> str:
    if isinstance(posted.ticket, Generation):
        return posted.ticket.resource
    machine = posted.region.machine
    return machine.chart.states[machine.state].does or machine.state


async def _guarded(
    work: Coroutine[Any, Any, None], failed: Callable[[BaseException], None]
) -> None:
    try:
        await work
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        failed(error)  # nobody asked it to end: what it waited for was cancelled
    # A defect in an activity, a resource or a job must not end the agent; `failed` knows what it means.
    except Exception as error:
        failed(error)


def _complain(what: str, error: BaseException) -> None:
    log.error("%s failed", what, exc_info=error)


def _abort(held: Resource, what: str) -> None:
    try:
        held.abort()
    # There is nothing left to try, and the state has been left.
    except Exception as error:
        _complain(f"{what} for good", error)
