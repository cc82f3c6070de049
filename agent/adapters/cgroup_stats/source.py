"""All containers, one after the other, without ever keeping the loop for long."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.adapters.cgroup_stats.files import KEPT, Files
from agent.adapters.cgroup_stats.tree import Tree
from agent.core.roster import Process, Run
from agent.core.stats import Counters

AT_ONCE_S = 0.003
"""Between two breaths of the loop. It is some hundred containers, or ten whose files are opened first."""

OTHERS = 512
"""Descriptors that are left to the rest of the agent: sockets, logs, shells."""

MOST = 65_536
"""More descriptors than anybody needs; some hosts allow a thousand million, and programs we start might count them."""

ENDED = (errno.ENODEV, errno.ENOENT, errno.ESRCH)
"""How a control group or a process that is gone answers."""

log = logging.getLogger("agent.telemetry")


class CgroupStats:
    """`agent.ports.StatsSource` on the kernel's files. It needs to know the runs' processes.

    Args:
        contained, own_id, root: As for `Tree`.
        most_kept: How many containers' files may stay open; None for as many as the process may have.
    """

    period_s = 0.0

    needs_processes = True

    def __init__(
        self,
        *,
        contained: bool,
        own_id: str = "",
        root: Path | None = None,
        most_kept: int | None = None,
    ) -> None:
        self._tree = Tree(contained=contained, own_id=own_id, root=root)
        self._most_kept = _raised_limit() if most_kept is None else most_kept
        self._kept: dict[Run, tuple[Process, Files]] = {}
        self._odd: dict[Run, Exception] = {}
        self._told: set[Run] = set()
        self._total_bytes = 0

    @property
    def version(self) -> int | None:
        """Of the control groups; None if there are none."""
        return self._tree.version

    def obstacle(self) -> str:
        """Why nothing can be read, and what would help; "" if nothing is in the way."""
        return self._tree.obstacle()

    async def read(self, runs: Sequence[Run]) -> Mapping[str, Counters]:
        self._forget_all_but(runs)
        found: dict[str, Counters] = {}
        now = asyncio.get_running_loop().time
        until_s = now() + AT_ONCE_S
        for number, run in enumerate(runs):
            if run.process is None:
                continue
            if now() >= until_s:
                await asyncio.sleep(0)
                until_s = now() + AT_ONCE_S
            try:
                files = self._files(run, run.process)
                found[run.container_id] = files.counters(now())
                if number >= self._most_kept:
                    files.close()
            # A figure that is none is a kernel we do not know: that container cannot be read, the others can.
            except (OSError, ValueError) as error:
                self._lose(run, error)
        # If nobody can be read, that is for whoever asked to say.
        while found and self._odd:
            odd, why = self._odd.popitem()
            log.info("the figures of %s cannot be read: %s", odd.name, why)
            self._told.add(odd)
        return found

    def rest(self) -> None:
        """Lets go of every descriptor; the next look opens what it needs."""
        for _, files in self._kept.values():
            files.close()
        self._kept.clear()

    def _files(self, run: Run, process: Process) -> Files:
        kept = self._kept.get(run)
        # An inspection that came later knows better.
        if kept is not None and kept[0] is process:
            return kept[1]
        if kept is not None:
            kept[1].close()
        if not self._total_bytes:
            self._total_bytes = self._tree.total_memory_bytes()
        place = self._tree.place(process.pid, run.container_id)
        files = Files(place, self._tree.proc, process, self._total_bytes)
        self._kept[run] = process, files
        return files

    def _lose(self, run: Run, error: Exception) -> None:
        if (kept := self._kept.pop(run, None)) is not None:
            kept[1].close()
        has_ended = isinstance(error, OSError) and error.errno in ENDED
        if not has_ended and run not in self._told:
            self._odd[run] = error

    def _forget_all_but(self, runs: Sequence[Run]) -> None:
        for gone in self._kept.keys() - runs:
            self._kept.pop(gone)[1].close()
        self._told.intersection_update(runs)


def _raised_limit() -> int:
    """How many containers' files may be open, once this process may have as many descriptors as it is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):
            most = soft
    return max(0, (most - OTHERS) // KEPT)
