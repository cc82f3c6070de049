"""The runtime carries out what a chart decides, and nothing that hangs or breaks can keep it from going on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import pytest
from runtime.kitchen import (
    Cooked,
    Diary,
    Kitchen,
    Leaked,
    Opened,
    Part,
    Served,
    Stirred,
    Stubborn,
    Tasted,
    chart,
    nothing_for_ever,
)

from agent.core.machine import ChartMachine, Crashed, DeadlinePassed, Event, StopRequested
from agent.ports import Activity, Scope
from agent.runtime.region import Region
from agent.runtime.runtime import INBOX


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


# Resources


async def test_resources_by_difference() -> None:
    """What both states hold is kept; the rest is released in reverse order of acquiring, then the new acquired."""
    kitchen = Kitchen()
    kitchen.activities |= {"cook": kitchen.after(1, Cooked()), "serve": kitchen.after(1, Served())}
    async with kitchen.running():
        await asyncio.sleep(3)
    assert kitchen.diary.lines == [
        (0.0, "acquire gas"),
        (0.0, "acquire water"),
        (1.0, "release gas"),
        (1.0, "acquire light"),
        (2.0, "release light"),
        (2.0, "release water"),
    ]


async def test_a_state_entered_anew_keeps_what_it_holds() -> None:
    """A move from a state to itself begins its activity anew and touches no resource."""
    kitchen = Kitchen()
    briefed: list[float] = []

    async def cook(_: object) -> Event:
        briefed.append(asyncio.get_running_loop().time())
        return await kitchen.forever(_)

    kitchen.activities["cook"] = cook
    async with kitchen.running() as runtime:
        await asyncio.sleep(7)
        runtime.post(Stirred())
        await asyncio.sleep(1)
        assert briefed == [0.0, 7.0]
        assert kitchen.diary.texts == ["acquire gas", "acquire water"]


async def test_what_is_taken_notice_of_moves_nothing() -> None:
    """An event that `does_not_move` leaves the activity alone, and observers are told that nothing was entered."""
    kitchen = Kitchen()
    kitchen.activities["cook"] = kitchen.after(10, Cooked())
    async with kitchen.running() as runtime:
        await asyncio.sleep(5)
        runtime.post(Tasted())
        await asyncio.sleep(6)
    assert kitchen.timeline()[1:3] == [(5.0, "Tasted", "cooking"), (10.0, "Cooked", "serving")]
    assert [move.entered for move in kitchen.moves[:3]] == [True, False, True]


async def test_resources_are_released_after_the_activity_has_ended() -> None:
    """While its activity cleans up, a state still holds what it holds."""
    kitchen = Kitchen()

    async def cook(_: object) -> Event:
        try:
            return await kitchen.forever(_)
        finally:
            await asyncio.sleep(1)
            kitchen.diary("the cook has cleaned up")

    kitchen.activities["cook"] = cook
    async with kitchen.running():
        await asyncio.sleep(5)
    assert kitchen.diary.lines[2:] == [
        (6.0, "the cook has cleaned up"),
        (6.0, "release water"),
        (6.0, "release gas"),
    ]


async def test_one_activity_at_a_time() -> None:
    """However a state is left, its activity has ended before the next one begins."""
    kitchen = Kitchen()
    at_work: list[str] = []
    most = 0

    async def work(_: object) -> Event:
        nonlocal most
        at_work.append("x")
        most = max(most, len(at_work))
        try:
            return await kitchen.forever(_)
        finally:
            await asyncio.sleep(0.5)
            at_work.pop()

    kitchen.activities |= {"cook": work, "serve": work}
    async with kitchen.running() as runtime:
        for event in (Stirred(), Stirred(), Cooked()):
            await asyncio.sleep(5)
            runtime.post(event)
        await asyncio.sleep(5)
        assert len(at_work) == 1
    assert most == 1


# Late answers


async def test_a_late_answer_of_an_activity_is_dropped() -> None:
    """An activity that answers while it is being ended is not listened to: its state has been left."""
    kitchen = Kitchen()

    async def cook(_: object) -> Event:
        try:
            return await kitchen.forever(_)
        except asyncio.CancelledError:
            return Cooked()

    kitchen.activities["cook"] = cook
    async with kitchen.running() as runtime:
        await asyncio.sleep(5)
        runtime.post(Stirred())
        await asyncio.sleep(5)
        assert runtime.states() == {"kitchen": "cooking"}
    assert kitchen.timeline()[1:] == [(5.0, "Stirred", "cooking"), (10.0, "StopRequested", "shut")]


async def test_a_resource_is_heard_through_several_visits() -> None:
    """A resource that was kept over a move is listened to, for its own generation is still held."""
    kitchen = Kitchen()
    async with kitchen.running() as runtime:
        await asyncio.sleep(1)
        runtime.post(Stirred())
        await asyncio.sleep(1)
        kitchen.parts["gas"].scope.post(Leaked())
        await asyncio.sleep(1)
        assert runtime.states() == {"kitchen": "idle"}


async def test_a_late_word_of_a_resource_is_dropped() -> None:
    """What an earlier acquisition says is dropped although the same resource is held again."""
    kitchen = Kitchen()
    kitchen.activities |= {
        "wait": kitchen.after(1, Opened()),
        "cook": kitchen.after(1, Cooked()),
        "serve": kitchen.after(1, Served()),
    }
    async with kitchen.running() as runtime:
        await asyncio.sleep(4.5)
        first, second = kitchen.parts["gas"].scopes
        first.post(Leaked())
        await asyncio.sleep(0.1)
        assert runtime.states() == {"kitchen": "cooking"}
        second.post(Leaked())
        await asyncio.sleep(0.1)
        assert runtime.states() == {"kitchen": "idle"}


async def test_what_a_resource_spawned_ends_with_it() -> None:
    """Tasks in a scope are cancelled when the resource is released, after its release."""
    kitchen = Kitchen()

    async def burn() -> None:
        try:
            await nothing_for_ever()
        finally:
            kitchen.diary("the flame is out")

    kitchen.parts["gas"].on_acquire = lambda scope: _spawn(scope, burn())
    kitchen.activities["cook"] = kitchen.after(1, Cooked())
    async with kitchen.running():
        await asyncio.sleep(2)
        assert kitchen.diary.texts[2:4] == ["release gas", "the flame is out"]


# What fails


async def test_a_crash_of_an_activity() -> None:
    """What escapes an activity becomes `Crashed`, named and with its cause, and the chart goes on."""
    kitchen = Kitchen()

    async def cook(_: object) -> Event:
        raise ValueError("the oven is cold")

    kitchen.activities["cook"] = cook
    async with kitchen.running():
        await asyncio.sleep(1)
    assert kitchen.moves[1].event == Crashed("cook", "ValueError: the oven is cold")
    assert kitchen.moves[1].after == "idle"


async def test_a_crash_in_a_resource() -> None:
    """What escapes a task of a resource becomes `Crashed` too."""
    kitchen = Kitchen()

    async def burn() -> None:
        await asyncio.sleep(3)
        raise OSError("no pressure")

    kitchen.parts["gas"].on_acquire = lambda scope: _spawn(scope, burn())
    async with kitchen.running():
        await asyncio.sleep(5)
    assert kitchen.moves[1].event == Crashed("gas", "OSError: no pressure")
    assert kitchen.moves[1].at_s == 3.0


async def test_a_resource_that_cannot_be_acquired() -> None:
    """A resource whose `acquire` raises crashes its state; it used to end the agent."""
    kitchen = Kitchen()

    def fail(_: Scope) -> None:
        raise RuntimeError("can't start new thread")

    kitchen.parts["water"].on_acquire = fail
    async with kitchen.running() as runtime:
        await asyncio.sleep(1)
        assert runtime.states() == {"kitchen": "idle"}
    assert kitchen.moves[1].event == Crashed("water", "RuntimeError: can't start new thread")
    assert kitchen.diary.texts[2:4] == ["release water", "release gas"]


async def test_a_timeout_that_escapes_is_a_crash() -> None:
    """A `TimeoutError` of the activity's own says nothing about its deadline."""
    kitchen = Kitchen()

    async def cook(_: object) -> Event:
        raise TimeoutError("the timer rang")

    kitchen.activities["cook"] = cook
    async with kitchen.running():
        await asyncio.sleep(1)
    assert kitchen.moves[1].event == Crashed("cook", "TimeoutError: the timer rang")


async def test_an_activity_that_waits_for_something_cancelled() -> None:
    """A cancellation nobody asked for is a crash. It used to end the activity without a word, and the state lasted."""
    kitchen = Kitchen()

    async def cook(_: object) -> Event:
        gone: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        gone.cancel()
        return await gone

    kitchen.activities["cook"] = cook
    async with kitchen.running() as runtime:
        await asyncio.sleep(1)
        assert runtime.states() == {"kitchen": "idle"}
    assert isinstance(kitchen.moves[1].event, Crashed)


async def test_a_deadline() -> None:
    """An activity that is still at work at its deadline is ended, and the chart is told at that instant."""
    kitchen = Kitchen()
    async with kitchen.running():
        await asyncio.sleep(70)
    assert kitchen.moves[1].event == DeadlinePassed("cook")
    assert kitchen.timeline()[1] == (60.0, "DeadlinePassed", "idle")


async def test_an_answer_in_time_disarms_the_deadline() -> None:
    """The deadline of an activity that has ended means nothing, even if its state has not been left."""
    kitchen = Kitchen(strict=False)
    kitchen.activities["cook"] = kitchen.after(59, Tasted())
    async with kitchen.running() as runtime:
        await asyncio.sleep(100)
        assert runtime.states() == {"kitchen": "cooking"}


async def test_a_deadline_of_an_activity_that_cannot_be_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The state is left at the deadline all the same. It used to last for ever."""
    kitchen, cook = Kitchen(), Stubborn()
    kitchen.activities["cook"] = cook
    async with kitchen.running():
        await asyncio.sleep(70)
        cook.let_go.set()
    assert kitchen.timeline()[1] == (60.0, "DeadlinePassed", "idle")
    assert errors(caplog) == ["task cook#2 does not end"]
    assert (62.0, "release gas") in kitchen.diary.lines


async def test_a_release_that_hangs() -> None:
    """It gets two seconds, then the resource is aborted and the next state begins."""
    kitchen = Kitchen()
    kitchen.activities["cook"] = kitchen.after(1, Cooked())
    kitchen.parts["gas"].on_release = nothing_for_ever
    async with kitchen.running():
        await asyncio.sleep(5)
    assert kitchen.diary.lines[2:5] == [
        (1.0, "release gas"),
        (3.0, "abort gas"),
        (3.0, "acquire light"),
    ]


async def test_a_release_that_cannot_be_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """It is aborted, reported and left behind: the loop that decides does not wait for it."""
    kitchen, release = Kitchen(), Stubborn()
    kitchen.activities["cook"] = kitchen.after(1, Cooked())
    kitchen.parts["gas"].on_release = release
    async with kitchen.running():
        await asyncio.sleep(10)
        release.let_go.set()
    assert kitchen.diary.lines[2:5] == [
        (1.0, "release gas"),
        (3.0, "abort gas"),
        (5.0, "acquire light"),
    ]
    assert errors(caplog)[-1] == "task releasing gas does not end"


async def test_a_release_that_fails() -> None:
    """The resource is aborted, and whatever that does the next state begins."""
    kitchen = Kitchen()
    kitchen.activities["cook"] = kitchen.after(1, Cooked())

    async def fail() -> None:
        raise TimeoutError("no answer")

    def fail_again() -> None:
        raise OSError("no valve")

    kitchen.parts["gas"].on_release = fail
    kitchen.parts["gas"].on_abort = fail_again
    async with kitchen.running() as runtime:
        await asyncio.sleep(5)
        assert runtime.states() == {"kitchen": "serving"}
    assert kitchen.diary.lines[2:5] == [
        (1.0, "release gas"),
        (1.0, "abort gas"),
        (1.0, "acquire light"),
    ]


# Jobs


async def test_a_job_outlives_states_and_ends_with_the_agent() -> None:
    """No move ends a detached job; the end of the agent does."""
    kitchen = Kitchen()
    kitchen.activities["cook"] = kitchen.after(1, Cooked())

    async def wash_up() -> None:
        try:
            await nothing_for_ever()
        finally:
            kitchen.diary("the dishes are left")

    async with kitchen.running() as runtime:
        runtime.detach(wash_up(), "wash up")
        await asyncio.sleep(100)
        assert "the dishes are left" not in kitchen.diary.texts
    assert kitchen.diary.lines[-1] == (100.0, "the dishes are left")


async def test_a_job_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Its defect is logged and ends nothing else."""
    kitchen = Kitchen()

    async def wash_up() -> None:
        raise ValueError("no water")

    async with kitchen.running() as runtime:
        runtime.detach(wash_up(), "wash up")
        await asyncio.sleep(1)
        assert runtime.states() == {"kitchen": "cooking"}
    assert errors(caplog) == ["job wash up failed"]


# What the chart refuses


async def test_a_refused_event_is_an_error_in_tests() -> None:
    """Strict: an event that the chart does not expect ends the runtime with the refusal."""
    kitchen = Kitchen(strict=True)

    async def serve_raw() -> None:
        async with kitchen.running() as runtime:
            await asyncio.sleep(1)
            runtime.post(Served())
            await asyncio.sleep(1)

    with pytest.raises(ExceptionGroup) as failed:
        await serve_raw()
    assert failed.group_contains(Exception, match="'served' is not expected in state 'cooking'")


async def test_a_refused_event_is_counted_in_production(caplog: pytest.LogCaptureFixture) -> None:
    """Lenient: it is logged and counted, and nothing moves."""
    kitchen = Kitchen(strict=False)
    async with kitchen.running() as runtime:
        await asyncio.sleep(1)
        runtime.post(Served())
        await asyncio.sleep(1)
        assert runtime.states() == {"kitchen": "cooking"}
        assert runtime.refused == 1
    assert errors(caplog) == [
        "an event was refused: kitchen: 'served' is not expected in state 'cooking'"
    ]


async def test_an_answer_that_is_refused_is_a_crash_of_who_gave_it() -> None:
    """An activity has ended with its answer. If the chart refuses it, the state would last for ever."""
    kitchen = Kitchen(strict=False)
    kitchen.activities["cook"] = kitchen.after(3, Served())
    async with kitchen.running():
        await asyncio.sleep(5)
    told = "kitchen: 'served' is not expected in state 'cooking'"
    assert kitchen.moves[1].event == Crashed("cook", told)
    assert kitchen.timeline()[1] == (3.0, "Crashed", "idle")


async def test_a_word_of_a_resource_that_is_refused() -> None:
    """The same for a resource."""
    kitchen = Kitchen(strict=False)
    async with kitchen.running():
        await asyncio.sleep(3)
        kitchen.parts["water"].scope.post(Served())
        await asyncio.sleep(3)
    assert isinstance(event := kitchen.moves[1].event, Crashed)
    assert event.what == "water"


def test_chart_and_code_have_to_agree() -> None:
    """A region with an activity or a resource too many or too few does not construct; it names them."""
    machine = ChartMachine(chart())
    kitchen = Kitchen()
    with pytest.raises(TypeError, match="kitchen: activities differ in serve"):
        Region(machine, {"wait": kitchen.forever, "cook": kitchen.forever}, kitchen.parts)
    parts = {"oil" if name == "gas" else name: part for name, part in kitchen.parts.items()}
    with pytest.raises(TypeError, match="kitchen: resources differ in gas, oil"):
        Region(machine, kitchen.activities, parts)


# Several charts


async def test_two_charts_side_by_side() -> None:
    """Each has its own visits and resources; an event is for one of them, or from outside for all."""
    kitchen = Kitchen()
    bar = Kitchen(runtime=kitchen.runtime)
    async with kitchen.running() as runtime:
        await asyncio.sleep(1)
        runtime.post(Cooked(), chart="bar")
        await asyncio.sleep(1)
        assert runtime.states() == {"kitchen": "cooking", "bar": "serving"}
        assert kitchen.diary.texts == ["acquire gas", "acquire water"]
        assert bar.diary.texts == ["acquire gas", "acquire water", "release gas", "acquire light"]
    assert runtime.states() == {"kitchen": "shut", "bar": "shut"}


async def test_the_first_chart_leads() -> None:
    """When it has come to its end, the others are told to stop. They used to go on, and the agent never ended."""
    kitchen = Kitchen()
    bar = Kitchen(runtime=kitchen.runtime)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        run = tasks.create_task(kitchen.runtime.run())
        await asyncio.sleep(1)
        kitchen.runtime.post(StopRequested("an update is staged"), chart="kitchen")
        await run
    assert bar.timeline()[-1] == (1.0, "StopRequested", "shut")
    assert bar.diary.texts[-2:] == ["release water", "release gas"]


async def test_a_chart_that_does_not_lead_may_end_alone() -> None:
    """The end of another chart ends nothing else."""
    kitchen = Kitchen()
    bar = Kitchen(runtime=kitchen.runtime)
    async with kitchen.running() as runtime:
        await asyncio.sleep(1)
        runtime.post(StopRequested("closing time"), chart="bar")
        await asyncio.sleep(10)
        assert runtime.states() == {"kitchen": "cooking", "bar": "shut"}
    assert bar.timeline()[-1] == (1.0, "StopRequested", "shut")


# The pulse


async def test_pulses_keep_coming() -> None:
    """Every five seconds, whatever activities do, with the states as they are."""
    kitchen = Kitchen()
    async with kitchen.running():
        await asyncio.sleep(21)
        assert kitchen.beat.pulses_s == [0.0, 5.0, 10.0, 15.0, 20.0]
        assert kitchen.beat.states == {"kitchen": "cooking"}


async def test_no_pulse_from_a_loop_that_does_not_decide() -> None:
    """While a move cannot be ended the watchdog is not fed: the event loop turning is not enough to be alive."""
    kitchen, cook = Kitchen(), Stubborn()
    kitchen.activities["cook"] = cook
    for part in kitchen.parts.values():
        part.on_release = nothing_for_ever
    async with kitchen.running() as runtime:
        await asyncio.sleep(9.5)
        runtime.post(Leaked())
        await asyncio.sleep(10)
        cook.let_go.set()
        # The activity takes two seconds, and so does each of the two resources.
        assert kitchen.beat.pulses_s == [0.0, 5.0, 15.5, 15.5]


async def test_a_full_inbox_is_a_defect() -> None:
    """Events that nobody decides any more end the runtime, for the supervisor to begin anew; who posts is not hurt."""
    kitchen = Kitchen()

    async def taste_all_the_time() -> None:
        async with kitchen.running() as runtime:
            await asyncio.sleep(1)
            for _ in range(INBOX + 1):
                runtime.post(Tasted())
            await asyncio.sleep(1)

    with pytest.raises(ExceptionGroup) as failed:
        await taste_all_the_time()
    assert failed.group_contains(RuntimeError, match="1024 events")


# The end


async def test_the_end_releases_everything() -> None:
    """After a stop nothing runs and nothing is held."""
    kitchen = Kitchen()
    async with kitchen.running():
        await asyncio.sleep(1)
    assert kitchen.diary.lines[-2:] == [(1.0, "release water"), (1.0, "release gas")]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_end_although_everything_hangs(caplog: pytest.LogCaptureFixture) -> None:
    """With two charts in which no part lets itself be ended, the runtime returns within five seconds of a stop."""
    kitchen, stuck = Kitchen(), Stubborn()
    bar = Kitchen(runtime=kitchen.runtime)
    for each in (kitchen, bar):
        each.activities["cook"] = stuck
        for part in each.parts.values():
            part.on_release = stuck
            part.on_acquire = lambda scope: _spawn(scope, stuck())
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(kitchen.runtime.run())
        await asyncio.sleep(30)
        kitchen.runtime.detach(stuck(), "a job")
        kitchen.runtime.post(StopRequested("SIGTERM"))
        await run
        assert loop.time() - 30 <= 5.0
        stuck.let_go.set()
    assert "task a job does not end" in errors(caplog)
    assert kitchen.runtime.states() == {"kitchen": "shut", "bar": "shut"}


async def test_a_stop_in_the_first_instant() -> None:
    """A stop that is there before anything has begun ends what begins, and no coroutine is left unawaited."""
    kitchen = Kitchen()
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(kitchen.runtime.run())
        kitchen.runtime.post(StopRequested("SIGTERM"))
        await run
    assert kitchen.timeline() == [(0.0, "StopRequested", "shut")]


async def test_being_killed_ends_every_task() -> None:
    """Whoever cancels the runtime gets back a loop on which nothing of it runs."""
    kitchen = Kitchen()
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(kitchen.runtime.run())
        await asyncio.sleep(1)
        kitchen.runtime.detach(nothing_for_ever(), "a job")
        run.cancel()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert kitchen.diary.texts == ["acquire gas", "acquire water"]


def _spawn(scope: Scope, work: Coroutine[Any, Any, None]) -> None:
    scope.spawn(work, "part")


# Jobs with a chart of their own


class Job:
    """A kitchen that joins a runtime that is at work."""

    def __init__(self, kitchen: Kitchen, subject: str, **activities: Activity) -> None:
        self.diary = Diary()
        self.machine = ChartMachine(chart("job"))
        self.ended = kitchen.runtime.conduct(
            self.machine,
            {"wait": kitchen.once(Opened()), "cook": kitchen.forever, "serve": kitchen.forever}
            | activities,
            subject=subject,
            resources={name: Part(name, self.diary) for name in ("gas", "water", "light")},
        )


async def test_a_job_has_a_chart_of_its_own() -> None:
    """It joins the others, stands among their states under its subject, and leaves them at its final state."""
    kitchen = Kitchen()
    async with kitchen.running() as runtime:
        await asyncio.sleep(1)
        job = Job(kitchen, "web")
        await asyncio.sleep(1)
        assert runtime.states() == {"kitchen": "cooking", "job web": "cooking"}
        runtime.post(StopRequested("it is done"), chart="job web")
        assert await job.ended == "shut"
        assert runtime.states() == {"kitchen": "cooking"}
    assert job.diary.texts == ["acquire gas", "acquire water", "release water", "release gas"]


async def test_jobs_of_one_chart_are_told_apart() -> None:
    """Two of the same chart run side by side; a second one on the same subject is refused, until the first ended."""
    kitchen = Kitchen()
    async with kitchen.running() as runtime:
        web, db = Job(kitchen, "web"), Job(kitchen, "db")
        with pytest.raises(ValueError, match="job web is under way"):
            Job(kitchen, "web")
        runtime.post(StopRequested("it is done"), chart="job web")
        assert await web.ended == "shut"
        Job(kitchen, "web")
        await asyncio.sleep(1)
        assert runtime.states().keys() == {"kitchen", "job db", "job web"}
    assert await db.ended == "shut"


async def test_a_job_stops_with_the_others() -> None:
    """The end of the one that leads is told to jobs too, and the runtime waits until they have ended."""
    kitchen = Kitchen()
    async with kitchen.running() as runtime:
        job = Job(kitchen, "web")
        await asyncio.sleep(1)
        runtime.post(StopRequested("SIGTERM"))
    assert await job.ended == "shut"
    assert job.diary.texts[-2:] == ["release water", "release gas"]


async def test_a_job_that_comes_late_is_told_to_stop_at_once() -> None:
    """One that joins after the stop was requested hears of it too; the end does not wait for ever."""
    kitchen = Kitchen()
    kitchen.parts["water"].on_release = lambda: asyncio.sleep(1)
    async with kitchen.running() as runtime:
        await asyncio.sleep(1)
        runtime.post(StopRequested("SIGTERM"))
        await asyncio.sleep(0.5)  # water is being released
        job = Job(kitchen, "web")
        assert await job.ended == "shut"


async def test_a_job_is_not_what_leads() -> None:
    """That one job is over ends nobody else, even if it was there before all others."""
    kitchen = Kitchen()
    job = Job(kitchen, "web")
    async with kitchen.running() as runtime:
        await asyncio.sleep(1)
        runtime.post(StopRequested("it is done"), chart="job web")
        assert await job.ended == "shut"
        await asyncio.sleep(1)
        assert runtime.states() == {"kitchen": "cooking"}


async def test_a_job_without_an_end_is_cancelled() -> None:
    """When the runtime fails, whoever awaits a job is not left waiting."""
    kitchen = Kitchen()
    job = Job(kitchen, "web")
    kitchen.runtime.post(
        Served(), chart="kitchen"
    )  # not expected there, and this runtime is strict
    with pytest.raises(ExceptionGroup):
        await kitchen.runtime.run()
    assert job.ended.cancelled()
