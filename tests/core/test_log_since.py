"""From when on a log is wanted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.log_since import unix_time_text


@pytest.mark.parametrize(
    ("since", "unix"),
    [
        ("0", "0"),
        ("1893456000", "1893456000"),
        ("1893456000.5", "1893456000.5"),
        (" 1893456000 ", "1893456000"),
        ("2030-01-01T00:00:00Z", "1893456000"),
        ("2030-01-01T00:00:00.123456789Z", "1893456000.123456789"),
        ("2030-01-01T01:00:00+01:00", "1893456000"),
        ("2030-01-01T00:00:00.25", "1893456000.25"),
        ("2030-01-01 00:00:00", "1893456000"),
    ],
)
def test_a_time_is_unix_seconds(since: str, unix: str) -> None:
    """RFC 3339 and Unix time both become what the engine takes, to the nanosecond."""
    assert unix_time_text(since) == unix


@pytest.mark.parametrize(
    "since",
    ["x", "-1", "1e9", "10m", "2030-01-01", "2030-13-01T00:00:00Z", "1969-12-31T23:59:59Z", "١٢"],
)
def test_what_is_no_time_is_refused(since: str) -> None:
    """Never passed on to the engine, which would take some of it for something else."""
    with pytest.raises(ValueError, match=r"^since: "):
        unix_time_text(since)


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_an_error(since: str) -> None:
    """What comes out is what the engine takes: digits and a point."""
    try:
        unix = unix_time_text(since)
    except ValueError:
        return
    assert unix.replace(".", "", 1).isdecimal()
    assert unix.isascii()
