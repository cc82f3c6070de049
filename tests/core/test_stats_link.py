"""The socket for statistics, as dialogues. Delays are as long as they may be."""

from __future__ import annotations

import pytest
from core.machines import BROKEN, arrived, stats_link
from playbook import Play

from agent.core.failures import Failure, FailureKind
from agent.core.lifecycle import AttemptFailed, LinkLost, RetryDue
from agent.core.machine import (
    Acquire,
    CancelActivity,
    Crashed,
    DeadlinePassed,
    Event,
    Release,
    StartActivity,
    StopRequested,
)
from agent.core.stats_link import LinkOpened, TokenChanged, TokenKnown, explained

UNREACHABLE = Failure(FailureKind.TCP, "dockmon.example:443 refused the connection")


def answered(status: int) -> Failure:
    advice = "the path is not the server's: check DOCKMON_URL for a wrong sub-path"
    return Failure(FailureKind.HTTP, f"dockmon.example:443 answered {status}", advice, status)


def test_from_the_first_registration_to_streaming() -> None:
    """Nothing is dialled before there is a token to show."""
    assert (
        Play(stats_link()).begin()
        << StartActivity("await_token", 1)
        >> TokenKnown()
        << CancelActivity(1)
        << Acquire("stats_socket", 1)
        << StartActivity("dial", 2, 30.0)
        >> LinkOpened()
        << CancelActivity(2)
        << StartActivity("stream", 3)
    )


def test_another_token() -> None:
    """The server knows the host by the token the socket was opened with, so it is opened anew, at once."""
    assert (
        Play(arrived("stats_link", "streaming"))
        >> TokenChanged()
        << CancelActivity(3)
        << StartActivity("dial", 4, 30.0)
    )


def test_a_link_that_breaks() -> None:
    """It is closed for good, and dialled again after a while."""
    assert (
        Play(arrived("stats_link", "streaming"))
        >> LinkLost(BROKEN, lasted_s=5.0)
        << CancelActivity(3)
        << Release("stats_socket", 1)
        << StartActivity("await_retry", 4, None, 1.0)
        >> RetryDue()
        << CancelActivity(4)
        << Acquire("stats_socket", 2)
        << StartActivity("dial", 5, 30.0)
    )


def delays_s(*events: Event) -> list[float]:
    """What is waited after each failure; what had to succeed for the next one to happen, did."""
    machine, delays = arrived("stats_link", "dialling"), []
    for event in events:
        if isinstance(event, LinkLost):
            machine.handle(LinkOpened())
        [*_, start] = machine.handle(event)
        assert isinstance(start, StartActivity)
        assert isinstance(start.briefing, float)
        delays.append(start.briefing)
        machine.handle(RetryDue())
    return delays


@pytest.mark.parametrize(
    "failure",
    [
        AttemptFailed(UNREACHABLE),
        AttemptFailed(answered(500)),
        LinkLost(BROKEN, lasted_s=59.9),
        DeadlinePassed("dial"),
        Crashed("dial", "ValueError: a defect"),
    ],
)
def test_failures_in_a_row(failure: Event) -> None:
    """1 s, then twice as long each time, and never longer than half a minute."""
    assert delays_s(*[failure] * 7) == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_link_that_lasted() -> None:
    """After a minute of streaming the next outage starts from the shortest delay."""
    refused = AttemptFailed(UNREACHABLE)
    assert delays_s(refused, refused, refused, LinkLost(BROKEN, lasted_s=60.0), refused) == [
        *(1.0, 2.0, 4.0),
        *(1.0, 2.0),
    ]


@pytest.mark.parametrize("status", [401, 404])
def test_a_server_that_wants_no_statistics(status: int) -> None:
    """Five to ten minutes each time: nothing changes by asking."""
    assert delays_s(*[AttemptFailed(answered(status))] * 3) == [600.0] * 3


@pytest.mark.parametrize("state", ["idle", "dialling", "streaming", "backoff"])
def test_the_end(state: str) -> None:
    """From everywhere, and what is open is closed."""
    machine = arrived("stats_link", state)
    visit, held = machine.visit, dict(machine.held)
    play = Play(machine) >> StopRequested("SIGTERM") << CancelActivity(visit)
    for resource, generation in held.items():
        play << Release(resource, generation)
    assert play
    assert machine.finished


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "the statistics service of the server does not know our token"),
        (404, "this server keeps no history of statistics"),
    ],
)
def test_refusals_explained(status: int, expected: str) -> None:
    """On this socket they do not mean what they mean on the other, where a path or a proxy is wrong."""
    failure = explained(answered(status))
    assert (failure.kind, failure.text) == (FailureKind.HTTP, answered(status).text)
    assert failure.advice == f"{expected}; live figures are not affected"


@pytest.mark.parametrize("failure", [UNREACHABLE, answered(500), answered(502)])
def test_other_failures(failure: Failure) -> None:
    """They mean the same on both."""
    assert explained(failure) == failure
