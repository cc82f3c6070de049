"""The files of one container, kept open between two looks: opening one costs ten times as much as reading it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from agent.adapters.cgroup_stats.tree import Place
from agent.core.control_groups import (
    UNIFIED,
    figure,
    limit_bytes,
    traffic,
    transferred_v1,
    transferred_v2,
    working_set_v1,
    working_set_v2,
)
from agent.core.roster import Process
from agent.core.stats import Counters

NUMBER_BYTES = 64
FILE_BYTES = 64 * 1024
"""Far more than the kernel writes. A device or an interface takes a line of a hundred bytes."""

PAGE_BYTES, LINE_BYTES = 4096, 512
"""The kernel hands a text over in pages of whole lines. One that leaves room for another line is the last."""

QUIET_S = 5.0
"""A container that has not run since the last look has changed nothing. What the kernel still does on its behalf
(writing to its disk, taking packets that nobody waits for) shows up to so much later."""

LIMIT_S = 10.0
"""How often the memory's limit is read again: `docker update` may change it."""

KEPT = 5
"""Descriptors of a container, at most."""

DISK_V1 = (
    "blkio.io_service_bytes_recursive",
    "blkio.throttle.io_service_bytes_recursive",
    "blkio.throttle.io_service_bytes",
)
"""Schedulers that count for themselves are preferred, where they have counted anything; the last is for old kernels."""


class Files:
    """What is read of one container.

    Every call that reads raises an OSError: `ENODEV` or `ENOENT` when the container has ended.
    """

    def __init__(self, place: Place, proc: Path, process: Process, total_bytes: int) -> None:
        self._process_path = str(proc / str(process.pid)) if process.has_network else None
        self._total_bytes = total_bytes
        self._paths = _v2_paths(place) if place.is_v2 else _v1_paths(place)
        self._limit_path = _limit_path(place)
        self._is_v2 = place.is_v2
        self._kept: list[int] = []
        self._limit_bytes, self._limit_until_s = 0, 0.0
        self._cpu_ns, self._memory_bytes, self._quiet_until_s = -1, 0, 0.0
        # Most containers do nothing to their disks and little to their network: the same bytes say the same.
        self._disk, self._disk_read = b"", (0, 0)
        self._network, self._network_read = b"", (0, 0)

    def counters(self, now_s: float) -> Counters:
        """One look, at `now_s` (loop time, which is the clock that CPU time is measured against)."""
        if not self._kept:
            self._open()
        process, cpu, *files = self._kept
        cpu_ns = self._read_cpu(cpu)
        if cpu_ns != self._cpu_ns or now_s >= self._quiet_until_s:
            self._cpu_ns, self._quiet_until_s = cpu_ns, now_s + QUIET_S
            self._memory_bytes = self._v2(files) if self._is_v2 else self._v1(files)
            if process >= 0:
                self._read_network(process)
        if now_s >= self._limit_until_s:
            self._read_limit(now_s)
        return Counters(
            cpu_ns,
            int(now_s * 1e9),
            1,
            self._memory_bytes,
            self._limit_bytes,
            *self._network_read,
            *self._disk_read,
        )

    def close(self) -> None:
        """Lets go of the descriptors; the next look opens the files again."""
        kept, self._kept = self._kept, []
        for descriptor in kept:
            if descriptor >= 0:
                os.close(descriptor)

    def _open(self) -> None:
        try:
            # A directory is the process's own, whatever gets its number later. It does not hold its network.
            self._kept.append(_opened(self._process_path))
            for path in self._paths:
                self._kept.append(_opened(path))
        except OSError:
            self.close()
            raise

    def _read_cpu(self, cpu: int) -> int:
        if self._is_v2:
            return 1000 * figure(os.pread(cpu, FILE_BYTES, 0), b"usage_usec ")
        return int(os.pread(cpu, NUMBER_BYTES, 0))

    def _v1(self, files: Sequence[int]) -> int:
        memory, stat, disk = files
        memory_bytes = 0
        if memory >= 0 and stat >= 0:
            usage_bytes = int(os.pread(memory, NUMBER_BYTES, 0))
            memory_bytes = working_set_v1(usage_bytes, os.pread(stat, FILE_BYTES, 0))
        if disk >= 0 and (table := os.pread(disk, FILE_BYTES, 0)) != self._disk:
            self._disk, self._disk_read = table, transferred_v1(table)
        return memory_bytes

    def _v2(self, files: Sequence[int]) -> int:
        stat, disk = files
        memory_bytes = working_set_v2(os.pread(stat, FILE_BYTES, 0)) if stat >= 0 else 0
        if disk >= 0 and (table := os.pread(disk, FILE_BYTES, 0)) != self._disk:
            self._disk, self._disk_read = table, transferred_v2(table)
        return memory_bytes

    def _read_limit(self, now_s: float) -> None:
        self._limit_until_s = now_s + LIMIT_S
        if self._limit_path is not None:
            limit = _whole(self._limit_path, None)
            self._limit_bytes = limit_bytes(limit, self._total_bytes)

    def _read_network(self, process: int) -> None:
        # Never kept open: that would keep the container's network alive after its end.
        table = _whole("net/dev", process)
        if table != self._network:
            self._network, self._network_read = table, traffic(table)


def _v1_paths(place: Place) -> list[str | None]:
    directories = place.directories
    memory, disk = directories.get("memory"), directories.get("blkio")
    return [
        str(directories["cpuacct"] / "cpuacct.usage"),
        _existing(memory, "memory.usage_in_bytes"),
        _existing(memory, "memory.stat"),
        _disk_path(disk),
    ]


def _v2_paths(place: Place) -> list[str | None]:
    directory = place.directories[UNIFIED]
    return [
        str(directory / "cpu.stat"),
        # Only what is switched on for the groups of this host.
        _existing(directory, "memory.stat"),
        _existing(directory, "io.stat"),
    ]


def _limit_path(place: Place) -> str | None:
    if place.is_v2:
        return _existing(place.directories[UNIFIED], "memory.max")
    return _existing(place.directories.get("memory"), "memory.limit_in_bytes")


def _disk_path(directory: Path | None) -> str | None:
    if directory is None:
        return None
    counting, *others = DISK_V1
    if (path := directory / counting).exists() and b" Read " in path.read_bytes():
        return str(path)
    return next((found for name in others if (found := _existing(directory, name))), None)


def _existing(directory: Path | None, name: str) -> str | None:
    if directory is None or not (path := directory / name).exists():
        return None
    return str(path)


def _opened(path: str | None) -> int:
    """A descriptor; -1 for what there is not on this host."""
    return -1 if path is None else os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _whole(path: str, directory: int | None) -> bytes:
    """All of a file that the kernel may hand over piece by piece."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        content = b""
        while piece := os.read(descriptor, FILE_BYTES):
            content += piece
            if len(piece) < PAGE_BYTES - LINE_BYTES:
                break
        return content
    finally:
        os.close(descriptor)
