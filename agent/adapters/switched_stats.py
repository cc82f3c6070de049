"""The cheapest source of container figures there is: the kernel's files while they can be read, else the engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from agent.adapters.cgroup_stats import CgroupStats
from agent.adapters.engine_stats import EngineStats
from agent.core.roster import Run
from agent.core.stats import Counters

PATIENCE = 3
"""Looks in a row in which the files say nothing about anybody, before the engine is asked instead."""

RETRY_S = 60.0
"""How soon the files are tried again."""

log = logging.getLogger("agent.telemetry")


class SwitchedStats:
    """`agent.ports.StatsSource` on two others, of which one is in use at a time."""

    def __init__(self, files: CgroupStats, api: EngineStats) -> None:
        self._files, self._api = files, api
        self._by_files = not files.obstacle()
        self._failed = 0
        self._retry_at_s: float | None = None

    def describe(self) -> str:
        """Which one it is, and why, as a line for the log."""
        if self._by_files:
            return f"container figures come from the kernel's control groups, version {self._files.version}"
        why = self._files.obstacle() or "they say nothing of these containers"
        return (
            f"container figures come from the Engine API, which costs it some 4 ms of CPU time each, every "
            f"{self._api.period_s:.0f} s at most, for the kernel's control groups cannot be used: {why}"
        )

    @property
    def period_s(self) -> float:
        return self._files.period_s if self._by_files else self._api.period_s

    @property
    def needs_processes(self) -> bool:
        return self._by_files or not self._files.obstacle()

    async def read(self, runs: Sequence[Run]) -> Mapping[str, Counters]:
        if self._by_files:
            return await self._read_files(runs)
        if self._is_retry_due() and (found := await self._files.read(runs)):
            self._switch(by_files=True, runs=runs)
            return found
        return await self._api.read(runs)

    async def _read_files(self, runs: Sequence[Run]) -> Mapping[str, Counters]:
        found = await self._files.read(runs)
        if found:
            self._failed = 0
        elif any(run.process is not None for run in runs):
            self._failed += 1
            if self._failed == PATIENCE:
                self._switch(by_files=False, runs=runs)
        return found

    def _switch(self, *, by_files: bool, runs: Sequence[Run]) -> None:
        self._by_files, self._failed, self._retry_at_s = by_files, 0, None
        self._files.rest()
        for run in runs:
            run.before = None
        log.warning("%s", self.describe())

    def _is_retry_due(self) -> bool:
        if self._files.obstacle():
            return False
        now_s = asyncio.get_running_loop().time()
        if self._retry_at_s is None:
            self._retry_at_s = now_s + RETRY_S
        if now_s < self._retry_at_s:
            return False
        self._retry_at_s = now_s + RETRY_S
        return True
