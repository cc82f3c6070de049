"""From when on a log is wanted, as the server may write it and as the engine reads it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_UNIX = re.compile(r"\d{1,11}(\.\d{1,9})?", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def unix_time_text(since: str) -> str:
    """`since` as Unix seconds with up to nine decimals, as the engine takes it.

    Args:
        since: Unix seconds, or an RFC 3339 instant, in UTC if it has no offset.

    Raises:
        ValueError: It is neither, or before 1970.
    """
    since = since.strip()
    if _UNIX.fullmatch(since):
        return since
    problem = "since: neither an RFC 3339 instant nor a Unix time in seconds"
    if (match := _RFC3339.fullmatch(since)) is None:
        raise ValueError(problem)
    seconds, fraction, zone = match.groups()
    try:
        elapsed = datetime.fromisoformat(seconds + (zone or "Z")) - _EPOCH
    except (ValueError, OverflowError):
        raise ValueError(problem) from None
    if elapsed.days < 0:
        raise ValueError("since: before 1970")
    whole = elapsed.days * 86_400 + elapsed.seconds
    return f"{whole}.{fraction}" if fraction else str(whole)
