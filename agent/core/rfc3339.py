"""Instants as the wire and the records write them."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(instant: datetime) -> str:
    """`instant` (aware) as RFC 3339 in UTC with microseconds and a final `Z`."""
    # Four times as fast as `strftime`, and each sample has one.
    return instant.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
