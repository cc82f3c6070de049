"""Where figures come from, and where samples go besides the session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from agent.core.encoded_sample import EncodedSample
from agent.core.host_stats import HostReading
from agent.core.roster import Run
from agent.core.stats import Counters


class StatsSource(Protocol):
    """Reads what containers use."""

    @property
    def period_s(self) -> float:
        """What a look costs others is fair once in this time, and not more often."""

    @property
    def needs_processes(self) -> bool:
        """Whether it can tell nothing of a run whose `process` is None."""

    async def read(self, runs: Sequence[Run]) -> Mapping[str, Counters]:
        """One look at each run that goes on, done within a few seconds. The answer is by container ID.

        Never raises: a container that cannot be read now is left out. Where figures cannot be compared with what was
        told before, because they come from somewhere else now, `Run.before` is cleared.
        """


class HostMeter(Protocol):
    """Reads what the host as a whole uses."""

    def read(self) -> HostReading | None:
        """A few small files. None if only our own container can be seen: the server then adds up the containers."""


class SampleSink(Protocol):
    """Takes samples that are worth having and no loss."""

    def offer(self, samples: Sequence[EncodedSample]) -> None:
        """Returns at once; what cannot be sent soon is dropped."""
