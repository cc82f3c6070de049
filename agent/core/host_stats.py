"""What the host as a whole uses: two looks at the kernel's counters become the figures that the server shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_CPU_FIELDS = 8
"""user, nice, system, idle, iowait, irq, softirq, steal. The guests' time that follows is in the first two already."""

_IDLE = {3, 4}
"""idle and iowait: a core that waits for a disk has nothing to do."""


@dataclass(frozen=True, slots=True)
class HostReading:
    """One look at the host's raw figures.

    Attributes:
        cpu_ticks: CPU time since the boot by what it went into, in the order of `/proc/stat`.
        memory_total_bytes: 0 if not told.
        memory_available_bytes: What could be had without swapping.
        traffic_bytes: Received and sent together, by interface; each byte under one interface only.
    """

    cpu_ticks: tuple[int, ...] = ()
    memory_total_bytes: int = 0
    memory_available_bytes: int = 0
    traffic_bytes: Mapping[str, int] = field(default_factory=dict)


def host_stats(before: HostReading, now: HostReading, elapsed_s: float) -> dict[str, Any]:
    """The `stats` of the server's top-level message: percentages with two decimals, bytes a second both ways together.

    A counter that went backwards (iowait does, and an interface that was reset) counts as one that stood still; an
    interface that was not there before counts from the next time.
    """
    return {
        "cpu_percent": _busy_percent(before.cpu_ticks, now.cpu_ticks),
        "mem_percent": _percent(
            now.memory_total_bytes - now.memory_available_bytes, now.memory_total_bytes
        ),
        "net_bytes_per_sec": round(_transferred_bytes(before, now) / elapsed_s, 1),
    }


def cpu_ticks(stat: str) -> tuple[int, ...]:
    """What the text of `/proc/stat` says of all cores together."""
    for line in stat.splitlines():
        if line.startswith("cpu "):
            return tuple(_number(word) for word in line.split()[1 : 1 + _CPU_FIELDS])
    return ()


def memory_bytes(meminfo: str) -> tuple[int, int]:
    """(total, available) in the text of `/proc/meminfo`; both are 0 unless both are there."""
    table = dict(line.partition(":")[::2] for line in meminfo.splitlines())
    try:
        total, available = (table[key].split()[0] for key in ("MemTotal", "MemAvailable"))
    except (KeyError, IndexError):
        return 0, 0
    return _number(total) * 1024, _number(available) * 1024


def _busy_percent(before: tuple[int, ...], now: tuple[int, ...]) -> float:
    passed = [max(0, new - old) for old, new in zip(before, now, strict=False)]
    busy = sum(ticks for kind, ticks in enumerate(passed) if kind not in _IDLE)
    return _percent(busy, sum(passed))


def _transferred_bytes(before: HostReading, now: HostReading) -> int:
    return sum(
        max(0, traffic - before.traffic_bytes.get(name, traffic))
        for name, traffic in now.traffic_bytes.items()
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole > 0 else 0.0


def _number(word: str) -> int:
    return int(word) if word.isdecimal() else 0
