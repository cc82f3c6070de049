"""How much is sent at once, told by how long the last took."""

from __future__ import annotations

from agent.core.batch_size import LEAST, MOST, QUICK_S, BatchSize


def test_a_quick_link() -> None:
    """More each time, up to a bound."""
    size = BatchSize()
    limits = [size.limit]
    for _ in range(3):
        size.arrived(QUICK_S / 10)
        limits.append(size.limit)
    assert limits == [LEAST, 2 * LEAST, MOST, MOST]


def test_a_link_that_gets_slow() -> None:
    """As little as at first, at once."""
    size = BatchSize()
    for _ in range(3):
        size.arrived(0.0)
    size.arrived(QUICK_S)
    assert size.limit == LEAST
