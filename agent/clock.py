"""The wall clock. Durations never come from here: the event loop has them."""

from __future__ import annotations

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Now, aware, in UTC. Never call it in a thread other than the loop's."""
    return datetime.now(UTC)  # noqa: TID251  the one place that may ask
