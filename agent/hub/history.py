"""What the stats-service keeps of the samples it is sent: the newest of each container, and when all of them came."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from typing import NoReturn

from pydantic import FiniteFloat

from agent.hub.shapes import SHORT_ID_LENGTH, Count, Dropped, Shape, read

FRESH_S = 30.0
POINTS_PER_CONTAINER = 10_000


class IngestSample(Shape):
    """The same keys as in the live view. What is missing or null is nothing, as in a Go struct."""

    container_id: str = ""
    container_name: str = ""
    cpu_percent: FiniteFloat = 0
    memory_usage: Count = 0
    memory_limit: Count = 0
    memory_percent: FiniteFloat = 0
    network_rx: Count = 0
    network_tx: Count = 0
    disk_read: Count = 0
    disk_write: Count = 0


@dataclass(frozen=True, slots=True)
class Point:
    """A sample and the loop time in seconds at which it came; its own timestamp is not read."""

    at: float
    sample: IngestSample


def read_sample(message: str | bytes) -> IngestSample:
    """One message of the second socket.

    Raises:
        Dropped: It does not decode: no JSON object, or a counter that is no unsigned integer as written.
    """
    try:
        value = json.loads(message, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Dropped(f"no JSON: {error}") from None
    if isinstance(value, dict):
        value = {name: given for name, given in value.items() if given is not None}
    return read(IngestSample, value)


class History:
    """The newest ten thousand points of each container."""

    def __init__(self) -> None:
        self._points: dict[str, dict[str, deque[Point]]] = {}

    def add(self, host_id: str, sample: IngestSample) -> None:
        """Keeps a sample that came now.

        Raises:
            Dropped: It is nobody's, and skipped.
        """
        if not (container_id := sample.container_id[:SHORT_ID_LENGTH]):
            raise Dropped("a sample without its container_id")
        point = Point(asyncio.get_running_loop().time(), sample)
        points = self._points.setdefault(host_id, {})
        points.setdefault(container_id, deque(maxlen=POINTS_PER_CONTAINER)).append(point)

    def of(self, host_id: str, container_id: str) -> list[Point]:
        """In order of arrival; `container_id` in any length."""
        return list(self._points.get(host_id, {}).get(container_id[:SHORT_ID_LENGTH], ()))

    def fresh(self, host_id: str) -> dict[str, Point]:
        """By container, what would be written to the history now: the newest points of the last half minute."""
        now = asyncio.get_running_loop().time()
        newest = {name: points[-1] for name, points in self._points.get(host_id, {}).items()}
        return {name: point for name, point in newest.items() if now - point.at <= FRESH_S}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a finite number")
