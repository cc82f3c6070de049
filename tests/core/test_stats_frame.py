"""One odd sample would close the socket for all the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.encoded_sample import EncodedSample, encode_sample
from agent.core.stats import MAX, Counters, sample
from agent.core.stats_frame import MAX_FRAME_BYTES, frame

NOW = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
USED = Counters(memory_usage_bytes=183_500_800, network_rx_bytes=MAX)


def told(used: Counters = USED, name: str = "web", **changed: Any) -> EncodedSample:
    payload = sample(None, used, container_id="3b7e0c", name=name, at=NOW)
    return encode_sample({**payload, **changed})


def test_a_frame() -> None:
    """The sample as it is: what the server does not know it leaves alone."""
    assert json.loads(frame(told()) or b"") == told().payload


@pytest.mark.parametrize("count", [12.0, -1, True, "12", None, MAX + 1, float("nan")])
def test_counts_that_the_server_cannot_decode(count: object) -> None:
    """Each of them would be the end of the connection."""
    assert frame(told(network_rx=count)) is None


@pytest.mark.parametrize("percent", [float("nan"), float("inf")])
def test_percentages_that_are_none(percent: float) -> None:
    """JSON does not have them."""
    assert frame(told(cpu_percent=percent)) is None


def test_a_frame_that_is_too_large() -> None:
    """No real name is that long; the largest one that fits is sent."""
    room = MAX_FRAME_BYTES - len(frame(told(name="")) or b"")
    assert frame(told(name="x" * room)) is not None
    assert frame(told(name="x" * (room + 1))) is None


@given(st.builds(Counters, *[st.integers(0, MAX)] * 2, st.just(4), *[st.integers(0, MAX)] * 6))
def test_what_is_measured_can_be_sent(used: Counters) -> None:
    """Every sample of ours is one that the server decodes."""
    assert frame(told(used)) is not None
