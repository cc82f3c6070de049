"""Durations and booleans are read as Go reads them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.durations import parse_boolean, parse_duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("+0", 0.0),
        ("1s", 1.0),
        ("+5s", 5.0),
        ("-1.5h", -5400.0),
        ("500ms", 0.5),
        ("1m30s", 90.0),
        ("1h2m3s4ms5us6ns", 3723.004005006),
        ("12µs", 12e-6),
        ("12μs", 12e-6),
        ("12us", 12e-6),
        (".5s", 0.5),
        ("5.s", 5.0),
        ("0.1s", 0.1),
        ("30s1m", 90.0),
        ("0.9999999999s", 0.999999999),
        ("2562047h47m16.854775807s", 9223372036.854775807),
    ],
)
def test_a_go_duration_is_seconds(text: str, seconds: float) -> None:
    """Numbers with units add up; what is finer than a nanosecond is cut off."""
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "5", "s", ".s", "+", "-", "--1s", "1 s", " 1s", "1s ", "1d", "1S", "1e3s", "1,5s"),
        *("1m30", "٣s", "inf", "nan", "1s\n", "2562047h47m16.854775808s"),
    ],
)
def test_what_go_refuses_is_refused(text: str) -> None:
    """No unit, an unknown one, blanks, exponents, other digits, more than 292 years: an error."""
    with pytest.raises(ValueError, match=r"duration.*: write "):
        parse_duration_s(text)


@given(st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1))
def test_every_number_of_nanoseconds_is_read_exactly(count: int) -> None:
    """Within 64 bits the result is the float nearest to the true value."""
    assert parse_duration_s(f"{count}ns") == count / 1_000_000_000


@given(st.text(alphabet="0123456789.+-nuµmsh ", max_size=30))
def test_any_other_text_is_a_value_error(text: str) -> None:
    """Nothing an operator types ends in another kind of error."""
    with suppress(ValueError):
        assert isinstance(parse_duration_s(text), float)


@pytest.mark.parametrize(
    ("forms", "value"), [("1 t T true TRUE True", True), ("0 f F false FALSE False", False)]
)
def test_the_six_forms_of_each_boolean(forms: str, value: bool) -> None:
    """Go has six ways to write each, and all of them count."""
    assert [parse_boolean(form) for form in forms.split()] == [value] * 6


@pytest.mark.parametrize("text", ["", "yes", "no", "on", "off", "tRUE", " true", "2", "01"])
def test_other_booleans_are_refused(text: str) -> None:
    """What other programs take for a boolean is an error here, as it is in Go."""
    with pytest.raises(ValueError, match="1 t T true TRUE True or 0 f F false FALSE False"):
        parse_boolean(text)
