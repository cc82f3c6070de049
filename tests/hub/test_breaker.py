"""The circuit breaker, told as timelines."""

from __future__ import annotations

import pytest

from agent.hub.breaker import CircuitBreaker


def play(story: str) -> str:
    """Plays steps `seconds:what`, with what in `F`ailure, `S`uccess or `?`, and returns the answers to `?`."""
    breaker, answers = CircuitBreaker(), ""
    for step in story.split():
        at, what = step.split(":")
        for letter in what:
            if letter == "F":
                breaker.failed(float(at))
            elif letter == "S":
                breaker.succeeded(float(at))
            else:
                answers += "y" if breaker.allows(float(at)) else "n"
    return answers


@pytest.mark.parametrize(
    ("story", "answers"),
    [
        pytest.param("0:? 0:FFFF? 1:F?", "yyn", id="the fifth failure opens it"),
        pytest.param("0:FFFF 1:S 2:FFFF? 3:F?", "yn", id="a success clears the count"),
        pytest.param("0:F 1:FFF 60:F?", "n", id="five within the minute"),
        pytest.param("0:F 1:FFF 60.001:F?", "y", id="the first is forgotten after a minute"),
        pytest.param("0:F 59:FFF 61:F? 62:F?", "yn", id="the minute slides"),
        pytest.param("0:FFFFF 29.999:? 30:?", "ny", id="nothing passes for half a minute"),
        pytest.param(
            "0:FFFFF 29:SS? 30:F?", "nn", id="answers that come while it is open count nothing"
        ),
        pytest.param("0:FFFFF 29:F 30:?", "y", id="failures while it is open prolong nothing"),
        pytest.param("0:FFFFF 30:?F? 59:? 60:?", "ynny", id="one failure on trial reopens it"),
        pytest.param("0:FFFFF 30:SF? 60:SF? 90:?", "nny", id="one success on trial is not enough"),
        pytest.param(
            "0:FFFFF 30:SS 31:FFFF? 31:F?", "yn", id="two successes close it, count at none"
        ),
    ],
)
def test_timeline(story: str, answers: str) -> None:
    """Five failures in a minute open it for half a minute; then it is on trial."""
    assert play(story) == answers
