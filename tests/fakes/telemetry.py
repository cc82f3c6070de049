"""Meters with figures that a test sets, and a taker of samples."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.core.encoded_sample import EncodedSample
from agent.core.host_stats import HostReading
from agent.core.roster import Run
from agent.core.stats import Counters
from agent.ports import Json


class FakeSource:
    """Figures of any container: each second of its life costs it a tenth of one of four cores.

    Attributes:
        period_s: What it wants from one look to the next.
        needs_processes: It tells nothing of a run whose process it was not told.
        takes_s: How long one look at all of them needs.
        unreadable: Containers it can tell nothing of.
        looks: (loop time, containers) of each time it was asked.
    """

    def __init__(self) -> None:
        self.period_s = 5.0
        self.needs_processes = False
        self.takes_s = 0.0
        self.unreadable: set[str] = set()
        self.looks: list[tuple[float, list[str]]] = []

    async def read(self, runs: Sequence[Run]) -> Mapping[str, Counters]:
        loop = asyncio.get_running_loop()
        wanted = [run.container_id for run in runs]
        self.looks.append((loop.time(), wanted))
        known = {run.container_id for run in runs if run.process or not self.needs_processes}
        await asyncio.sleep(self.takes_s)
        now_ns = int(loop.time() * 1e9)
        used = Counters(
            cpu_ns=now_ns // 10,
            system_cpu_ns=now_ns * 4,
            cpus=4,
            memory_usage_bytes=256,
            memory_limit_bytes=1024,
        )
        return {each: used for each in wanted if each in known - self.unreadable}


class FakeMeter:
    """A host that is busy a quarter of the time and gets 1000 bytes a second. `is_blind`: it cannot be seen."""

    def __init__(self) -> None:
        self.is_blind = False
        self._reading = HostReading(
            cpu_ticks=(0,) * 8, memory_total_bytes=1000, memory_available_bytes=400
        )

    def read(self) -> HostReading | None:
        if self.is_blind:
            return None
        now_s = asyncio.get_running_loop().time()
        ticks = (int(25 * now_s), 0, 0, int(75 * now_s), 0, 0, 0, 0)
        return replace(self._reading, cpu_ticks=ticks, traffic_bytes={"eth0": int(1000 * now_s)})


class FakeSink:
    """Keeps what it is offered."""

    def __init__(self) -> None:
        self.samples: list[Json] = []

    def offer(self, samples: Sequence[EncodedSample]) -> None:
        self.samples += [sample.payload for sample in samples]
