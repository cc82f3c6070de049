"""What moves is told in one line, what keeps failing in few, and secrets in none."""

from __future__ import annotations

import logging

import pytest

from agent.core.engine_watch import CaughtUp, EngineAnswered, EngineSilent
from agent.core.failures import Failure, FailureKind, Refusal
from agent.core.lifecycle import (
    AttemptFailed,
    EngineKnown,
    Evicted,
    LinkLost,
    Refused,
    Registered,
    RetryDue,
    ServerSilent,
)
from agent.core.machine import Crashed, DeadlinePassed, Event, StopRequested
from agent.runtime.reporter import Reporter
from agent.runtime.runtime import Move

DOWN = Failure(FailureKind.TCP, "dockmon:443 refused the connection", "is the server running?")
SILENT = Failure(FailureKind.SILENT, "no pong within 20 s")


class Story:
    """A chart's moves, told to a reporter; `lines` are what a person reads."""

    def __init__(self, caplog: pytest.LogCaptureFixture, chart: str = "lifecycle") -> None:
        caplog.set_level(logging.DEBUG, "agent.states")
        self.reporter = Reporter()
        self._caplog, self._chart = caplog, chart

    def move(self, at_s: float, event: Event, before: str, after: str) -> None:
        self.reporter.observe(Move(at_s, self._chart, event, before, after, entered=True))

    def lines(self, level: int = logging.INFO) -> list[str]:
        """Since the last time: level, message and cause."""
        told = [
            " ".join([r.levelname, r.getMessage(), *map(str, r.__dict__["fields"].values())])
            for r in self._caplog.records
            if r.levelno >= level
        ]
        self._caplog.clear()
        return told

    def failed_attempt(self, at_s: float, failure: Failure = DOWN) -> None:
        self.move(at_s, AttemptFailed(failure), "registering", "backoff")
        self.move(at_s + 1, RetryDue(), "backoff", "registering")


def test_a_good_start(caplog: pytest.LogCaptureFixture) -> None:
    """Every move is one line, with its cause."""
    story = Story(caplog)
    story.move(0, EngineKnown(), "unregistered", "registering")
    story.move(1, Registered("host-1", "agent-1"), "registering", "connected")
    story.move(9, StopRequested("SIGTERM"), "connected", "stopped")
    assert story.lines() == [
        "INFO lifecycle: unregistered -> registering engine_known",
        "INFO lifecycle: registering -> connected registered: host-1",
        "INFO lifecycle: connected -> stopped stop_requested: SIGTERM",
    ]


def test_a_failure_is_told_in_full_once(caplog: pytest.LogCaptureFixture) -> None:
    """The first time it fails, the line has the cause and the advice."""
    story = Story(caplog)
    story.failed_attempt(0)
    assert story.lines() == [
        "WARNING lifecycle: registering -> backoff attempt_failed: connection: dockmon:443 refused the connection "
        "(is the server running?)",
        "INFO lifecycle: backoff -> registering retry_due",
    ]


def test_what_keeps_failing_is_summarised(caplog: pytest.LogCaptureFixture) -> None:
    """A day of the same failure every half minute is one line, summaries, and the recovery."""
    story = Story(caplog)
    for at_s in range(0, 86_400, 30):
        story.failed_attempt(at_s)
    story.move(86_400, Registered("host-1", "agent-1"), "registering", "connected")
    lines = story.lines()
    assert len(lines) == 2 + 3 + 23 + 2
    cause = "connection: dockmon:443 refused the connection (is the server running?)"
    assert lines[2] == f"WARNING lifecycle: still failing: 3 times in 1 min {cause}"
    assert lines[-2:] == [
        "INFO lifecycle: registering -> connected registered: host-1",
        "INFO lifecycle: recovered after failing 2880 times in 24 h",
    ]


def test_every_move_can_be_seen_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """What is summarised is not lost: at debug each move is a line."""
    story = Story(caplog)
    for at_s in range(10):
        story.failed_attempt(at_s)
    assert len(story.lines(logging.DEBUG)) == 20


def test_another_cause_is_news(caplog: pytest.LogCaptureFixture) -> None:
    """Each cause of a failure is told in full; the recovery counts them all."""
    story = Story(caplog)
    story.failed_attempt(0)
    story.failed_attempt(10)
    story.lines()
    story.failed_attempt(20, SILENT)
    assert story.lines() == [
        "WARNING lifecycle: registering -> backoff attempt_failed: silence: no pong within 20 s"
    ]
    story.move(30, Registered("host-1", "agent-1"), "registering", "connected")
    assert story.lines()[-1] == "INFO lifecycle: recovered after failing 3 times in 30 s"


def test_a_failure_of_another_day_is_a_first_one(caplog: pytest.LogCaptureFixture) -> None:
    """What had worked since is told in full again, whichever of several causes it was."""
    story = Story(caplog)
    story.failed_attempt(0)
    story.failed_attempt(10, SILENT)
    story.move(20, Registered("host-1", "agent-1"), "registering", "connected")
    story.lines()
    story.failed_attempt(86_400)
    assert story.lines()[0].startswith("WARNING lifecycle: registering -> backoff")


def test_one_failure_needs_no_recovery(caplog: pytest.LogCaptureFixture) -> None:
    """After a single failure the move that works says enough."""
    story = Story(caplog)
    story.move(0, LinkLost(SILENT, 5.0), "connected", "backoff")
    story.lines()
    story.move(2, Registered("host-1", "agent-1"), "registering", "connected")
    assert story.lines() == ["INFO lifecycle: registering -> connected registered: host-1"]


def test_an_end_is_no_recovery(caplog: pytest.LogCaptureFixture) -> None:
    """Who stops while something fails has not repaired it."""
    story = Story(caplog)
    story.failed_attempt(0)
    story.failed_attempt(10)
    story.lines()
    story.move(20, StopRequested("SIGTERM"), "registering", "stopped")
    assert story.lines() == ["INFO lifecycle: registering -> stopped stop_requested: SIGTERM"]


@pytest.mark.parametrize(
    "event",
    [
        Refused(Refusal("Registration token has expired", permanent=True)),
        ServerSilent(lasted_s=300.0),
        Crashed("register", "ValueError: a defect"),
        DeadlinePassed("register"),
    ],
)
def test_what_counts_as_a_failure(event: Event, caplog: pytest.LogCaptureFixture) -> None:
    """Refusals, silence, defects and deadlines are warnings, and summarised when they repeat."""
    story = Story(caplog)
    for at_s in range(5):
        story.move(at_s, event, "registering", "backoff")
    (line,) = story.lines()
    assert line.startswith("WARNING lifecycle: registering -> backoff")


def test_an_eviction_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """It is a move like any other; the lifecycle's own note says what to do."""
    story = Story(caplog)
    story.move(0, Evicted(5.0), "connected", "backoff")
    assert story.lines() == ["INFO lifecycle: connected -> backoff evicted"]


def test_charts_do_not_disturb_each_other(caplog: pytest.LogCaptureFixture) -> None:
    """An engine that is down does not hush what the lifecycle does."""
    story = Story(caplog)
    for at_s in range(3):
        story.reporter.observe(
            Move(at_s, "engine", EngineSilent("no such file"), "down", "down", entered=True)
        )
    story.lines()
    story.move(3, EngineKnown(), "unregistered", "registering")
    assert story.lines() == ["INFO lifecycle: unregistered -> registering engine_known"]


def test_the_engine_recovers_when_it_is_followed(caplog: pytest.LogCaptureFixture) -> None:
    """That it answers is a step on the way; that it is followed is the recovery."""
    story = Story(caplog, "engine")
    for at_s in (0, 1, 3):
        story.move(at_s, EngineSilent("no such file"), "down", "down")
    story.lines()
    story.move(5, EngineAnswered("ENGN", "27.3.1"), "down", "catching_up")
    story.move(6, CaughtUp(3, 1), "catching_up", "following")
    assert story.lines() == [
        "INFO engine: catching_up -> following caught_up: 3, 1",
        "INFO engine: recovered after failing 3 times in 6 s",
    ]


def test_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """The agent's id is its permanent token, and is in no line."""
    story = Story(caplog)
    story.move(0, Registered("host-1", "hunter2-hunter2"), "registering", "connected")
    assert "hunter2" not in "".join(story.lines(logging.DEBUG))
