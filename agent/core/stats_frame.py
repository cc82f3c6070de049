"""Samples as the server's statistics service decodes them."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from agent.core.replies import encode_own
from agent.core.stats import MAX

MAX_FRAME_BYTES = 16_384
"""It closes the socket on anything larger."""

_SHARES = ("cpu_percent", "memory_percent")
_COUNTS = ("memory_usage", "memory_limit", "network_rx", "network_tx", "disk_read", "disk_write")


def frame(sample: Mapping[str, Any]) -> bytes | None:
    """The frame for a `container_stats` payload, or None for one that would close the socket for all the others."""
    if not all(type(count) is int and 0 <= count <= MAX for count in map(sample.get, _COUNTS)):
        return None
    if not all(isfinite(share) for share in map(sample.__getitem__, _SHARES)):
        return None
    encoded = encode_own(sample)
    return encoded if len(encoded) <= MAX_FRAME_BYTES else None
