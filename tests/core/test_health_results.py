"""What the server is told of a check."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from agent.core.health_checks import health_check
from agent.core.health_results import Answered, Outcome, Trouble, Unanswered, result

AT = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
CHECK = health_check(
    {
        "container_id": "9ab3c1d2e4f5",
        "host_id": "e3b9",
        "url": "http://web/",
        "expected_status_codes": "200-299,301",
    }
)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Answered(200, 41), {"healthy": True, "status_code": 200, "response_time_ms": 41}),
        (Answered(299, 0), {"healthy": True, "status_code": 299, "response_time_ms": 0}),
        (Answered(301, 7), {"healthy": True, "status_code": 301, "response_time_ms": 7}),
        (
            Answered(503, 41),
            {
                "healthy": False,
                "status_code": 503,
                "response_time_ms": 41,
                "error_message": "Status 503",
            },
        ),
        (
            Unanswered(Trouble.TIMEOUT, 10_002),
            {
                "healthy": False,
                "status_code": 0,
                "response_time_ms": 10_002,
                "error_message": "Timeout after 10s",
            },
        ),
    ],
)
def test_results(outcome: Outcome, told: dict[str, Any]) -> None:
    """Counters are whole numbers, the instant ends in Z, and only what is wrong has a message."""
    assert result(CHECK, outcome, AT) == told | {
        "container_id": "9ab3c1d2e4f5",
        "host_id": "e3b9",
        "timestamp": "2031-05-04T03:02:01.000000Z",
    }


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (Unanswered(Trouble.REFUSED, 1), "Connection refused"),
        (Unanswered(Trouble.HOST_NOT_FOUND, 1), "Host not found"),
        (Unanswered(Trouble.OTHER, 1, "no route to host"), "Connection failed: no route to host"),
        (Unanswered(Trouble.OTHER, 1), "Connection failed: no answer"),
        (Unanswered(Trouble.OTHER, 1, "x" * 200), "Connection failed: " + "x" * 81),
        (Answered(300, 1), "Status 300"),
    ],
)
def test_what_is_wrong(outcome: Outcome, message: str) -> None:
    """In the words that the server's users know, 100 characters at most."""
    assert result(CHECK, outcome, AT)["error_message"] == message
