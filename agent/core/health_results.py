"""What came of an HTTP check, in the words the server wants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from agent.core.health_checks import HealthCheck
from agent.core.rfc3339 import rfc3339

ERROR_CHARS = 100
"""What the server's pages have room for."""


class Trouble(Enum):
    """Why no answer came."""

    TIMEOUT = auto()
    REFUSED = auto()
    HOST_NOT_FOUND = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Answered:
    """`after_ms`: until the last response's headers were there."""

    status_code: int
    after_ms: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """`detail` tells of any other trouble in a few words, and must be free of anything the user configured."""

    trouble: Trouble
    after_ms: int
    detail: str = ""


Outcome = Answered | Unanswered


def result(check: HealthCheck, outcome: Outcome, at: datetime) -> dict[str, Any]:
    """The payload of a `health_check_result`, of a check that ended `at` (aware).

    `status_code` is 0 without an answer; `error_message` is there when the container is not healthy.
    """
    error = _error(check, outcome)
    return {
        "container_id": check.container_id,
        "host_id": check.host_id,
        "healthy": not error,
        "status_code": outcome.status_code if isinstance(outcome, Answered) else 0,
        "response_time_ms": outcome.after_ms,
        "timestamp": rfc3339(at),
    } | ({"error_message": error[:ERROR_CHARS]} if error else {})


def _error(check: HealthCheck, outcome: Outcome) -> str:
    match outcome:
        case Answered(status_code=code):
            is_expected = any(first <= code <= last for first, last in check.expected)
            return "" if is_expected else f"Status {code}"
        case Unanswered(trouble=Trouble.TIMEOUT):
            return f"Timeout after {check.timeout_s}s"
        case Unanswered(trouble=Trouble.REFUSED):
            return "Connection refused"
        case Unanswered(trouble=Trouble.HOST_NOT_FOUND):
            return "Host not found"
        case Unanswered(detail=detail):
            return f"Connection failed: {detail or 'no answer'}"
