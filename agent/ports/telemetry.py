"""Where figures come from, and where samples go besides the session."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from agent.core.host_stats import HostReading
from agent.core.stats import Counters
from agent.ports.objects import Json


class StatsSource(Protocol):
    """Reads what containers use."""

    async def read(self, container_ids: Collection[str]) -> Mapping[str, Counters]:
        """One look at each container (IDs of 64 characters), done within a few seconds.

        Never raises: a container that cannot be read now is left out, and comes first the next time.
        """


class HostMeter(Protocol):
    """Reads what the host as a whole uses."""

    def read(self) -> HostReading | None:
        """A few small files. None if only our own container can be seen: the server then adds up the containers."""


class SampleSink(Protocol):
    """Takes samples that are worth having and no loss."""

    def offer(self, samples: Sequence[Json]) -> None:
        """Payloads as of `container_stats`. Returns at once; what cannot be sent soon is dropped."""
