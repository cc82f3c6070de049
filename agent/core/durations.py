"""Values as Go programs write them: durations (`1m30s`) and booleans (`T`).

The agent takes over the environment of the Go agent, so it reads what Go reads and no more.
"""

from __future__ import annotations

import re
from fractions import Fraction

_UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_TERM = re.compile(r"((?:[0-9]+\.?[0-9]*)|(?:\.[0-9]+))(ns|us|µs|μs|ms|s|m|h)")
_MAX_NS = 2**63 - 1
"""A Go duration is a signed 64-bit count of nanoseconds: about 292 years."""

_BOOLEANS = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "false", "FALSE", "False"), False
)
GO_BOOLEAN_FORMS = "1 t T true TRUE True or 0 f F false FALSE False"


def parse_duration_s(text: str) -> float:
    """Seconds in a Go duration such as `500ms`, `1m30s`, `-1.5h` or `0`.

    A number without a unit is refused, zero excepted. What is finer than a nanosecond is cut off,
    term by term, as Go does.

    Raises:
        ValueError: not a duration, or one beyond ±292 years. The text does not repeat the value.
    """
    sign, terms = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if terms == "0":
        return 0.0
    total_ns = position = 0
    while term := _TERM.match(terms, position):
        number, unit = term.groups()
        total_ns += int(Fraction(number) * _UNIT_NS[unit])
        position = term.end()
    if position != len(terms) or not terms:
        raise ValueError("not a duration: write it like 500ms, 30s or 1m30s")
    if total_ns > _MAX_NS:
        raise ValueError("a duration beyond 292 years: write a shorter one")
    return sign * total_ns / 1_000_000_000


def parse_boolean(text: str) -> bool:
    """The boolean that Go's `strconv.ParseBool` reads in `text`: `GO_BOOLEAN_FORMS`, no others.

    Raises:
        ValueError: anything else, `yes` and `on` included. The text does not repeat the value.
    """
    try:
        return _BOOLEANS[text]
    except KeyError:
        raise ValueError(f"not a boolean: write one of {GO_BOOLEAN_FORMS}") from None
