"""Samples as the server's statistics service decodes them."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from agent.core.encoded_sample import EncodedSample
from agent.core.stats import MAX

MAX_FRAME_BYTES = 16_384
"""It closes the socket on anything larger."""

_COUNTS = ("memory_usage", "memory_limit", "network_rx", "network_tx", "disk_read", "disk_write")


def frame(sample: EncodedSample) -> bytes | None:
    """The frame for it, or None for one that would close the socket for all the others."""
    payload, encoded = sample
    if not isfinite(payload["cpu_percent"]) or not isfinite(payload["memory_percent"]):
        return None
    return encoded if len(encoded) <= MAX_FRAME_BYTES and _can_be_counted(payload) else None


def _can_be_counted(payload: Mapping[str, Any]) -> bool:
    # Half the time of `all` over a generator, for each container each second.
    for key in _COUNTS:
        count = payload.get(key)
        if type(count) is not int or not 0 <= count <= MAX:
            return False
    return True
