"""What `/proc` knows of a process: its CPU time, its memory, what it holds open."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SHIM = "containerd-shim"  # the kernel keeps 15 characters of a name


@dataclass(frozen=True, slots=True)
class Stat:
    """A line of `/proc/PID/stat`; CPU time of all threads, user and kernel together, in milliseconds."""

    name: str
    parent: int
    cpu_ms: float
    threads: int


@dataclass(frozen=True, slots=True)
class Memory:
    """In MB of 2^20 bytes, as the kernel's own tools count.

    Attributes:
        rss: All that is resident, shared pages in full.
        pss: The same, each shared page divided by those who share it.
        private: What nobody else has: what would be free again if the process ended.
        mapped: What of `rss` is not anonymous: files, of which there is one copy for all who use them.
    """

    rss: float
    pss: float
    private: float
    mapped: float


def stat_of(line: str) -> Stat:
    """The name may hold blanks and brackets, so the fields are counted from its end."""
    before, _, after = line.rpartition(")")
    fields = after.split()
    cpu_ticks = int(fields[11]) + int(fields[12])
    return Stat(
        before.partition("(")[2], int(fields[1]), 1e3 * cpu_ticks / TICKS_PER_S, int(fields[17])
    )


def memory_of(rollup: str) -> Memory:
    """From `/proc/PID/smaps_rollup`, whose unit is 1024 bytes."""
    bytes_of = {
        words[0].rstrip(":"): int(words[1]) * 1024
        for words in map(str.split, rollup.splitlines())
        if len(words) == 3 and words[2] == "kB"
    }
    private = bytes_of["Private_Clean"] + bytes_of["Private_Dirty"]
    mapped = bytes_of["Rss"] - bytes_of["Anonymous"]
    return Memory(bytes_of["Rss"] / 2**20, bytes_of["Pss"] / 2**20, private / 2**20, mapped / 2**20)


def container_of(cmdline: bytes) -> str | None:
    """The container that a shim was started for."""
    words = cmdline.decode(errors="replace").split("\0")
    return words[words.index("-id") + 1] if "-id" in words[:-1] else None


def stat(pid: int) -> Stat:
    return stat_of((PROC / str(pid) / "stat").read_text(errors="replace"))


def memory(pid: int) -> Memory:
    return memory_of((PROC / str(pid) / "smaps_rollup").read_text())


def descriptors(pid: int) -> int:
    return len(list((PROC / str(pid) / "fd").iterdir()))


def all_processes() -> Iterator[tuple[int, Stat]]:
    for directory in PROC.iterdir():
        if directory.name.isdigit():
            try:
                yield int(directory.name), stat(int(directory.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended since the list was made


@dataclass(frozen=True, slots=True)
class EngineProcesses:
    """What an engine consists of, on this machine."""

    dockerd: int
    containerd: int | None
    shims: tuple[int, ...]

    def cpu_ms(self) -> Mapping[str, float]:
        """So far, by part; a shim that has ended counts for nothing."""
        containerd = [] if self.containerd is None else [self.containerd]
        return {
            "dockerd": total_cpu_ms([self.dockerd]),
            "containerd": total_cpu_ms(containerd),
            "shims": scheduled_ms(self.shims),
        }


def total_cpu_ms(pids: Iterable[int]) -> float:
    total_ms = 0.0
    for pid in pids:
        try:
            total_ms += stat(pid).cpu_ms
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total_ms


def scheduled_ms(pids: Iterable[int]) -> float:
    """CPU time of the threads that there are, to the nanosecond: many processes that each use less than a tick.

    A thread that has ended is missing, which is why `total_cpu_ms` is for all others.
    """
    total_ns = 0
    for pid in pids:
        for tell in (PROC / str(pid) / "task").glob("*/schedstat"):
            try:
                total_ns += int(tell.read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return total_ns / 1e6


def engine_processes(socket_path: str, containers: Iterable[str]) -> EngineProcesses:
    """The processes behind an engine's socket, with the shims of `containers` (full IDs).

    Raises:
        RuntimeError: They are not on this machine, or hidden.
    """
    found = dict(all_processes())
    wanted = set(containers)
    dockerd = _listener(socket_path)
    if dockerd not in found or found[dockerd].name != "dockerd":
        # A service manager may listen in its stead, and is whom the kernel names.
        dockerd = next((pid for pid, each in found.items() if each.name == "dockerd"), 0)
    if not dockerd:
        raise RuntimeError("no dockerd is to be seen in /proc: measure where the engine runs")
    named = [(pid, each) for pid, each in found.items() if each.name == "containerd"]
    own = [pid for pid, each in named if each.parent == dockerd]
    others = [pid for pid, each in named if each.parent in (0, 1)]
    shims = [
        pid
        for pid, each in found.items()
        if each.name == SHIM and container_of(_cmdline(pid)) in wanted
    ]
    return EngineProcesses(dockerd, next(iter([*own, *others]), None), tuple(shims))


def _cmdline(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _listener(path: str) -> int:
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(path)
        credentials = asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid: int = struct.unpack("3i", credentials)[0]
    return pid
