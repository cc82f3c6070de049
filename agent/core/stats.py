"""What a container uses: the engine's or the kernel's counters become the samples that the server shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from agent.core.rfc3339 import rfc3339

Json = dict[str, Any]

MAX = 2**64 - 1
"""The server keeps byte counts in 64 bits without a sign, and closes the socket on anything else."""


class Counters(NamedTuple):
    """One look at a container's raw figures. Those that only grow begin anew when the container does.

    A frozen dataclass takes three times as long to make, and every container has one each second.

    Attributes:
        cpu_ns: CPU time its processes used so far.
        system_cpu_ns: CPU time that passed on all of the host's cores together, idle time included.
        cpus: How many cores that is, at least 1.
        memory_usage_bytes: Its working set: what could not be had back without swapping.
        memory_limit_bytes: 0 if there is none.
        network_rx_bytes, network_tx_bytes: Over all its interfaces so far; 0 where it shares somebody else's.
        disk_read_bytes, disk_write_bytes: So far.
    """

    cpu_ns: int = 0
    system_cpu_ns: int = 0
    cpus: int = 1
    memory_usage_bytes: int = 0
    memory_limit_bytes: int = 0
    network_rx_bytes: int = 0
    network_tx_bytes: int = 0
    disk_read_bytes: int = 0
    disk_write_bytes: int = 0


def counters(stats: Json) -> Counters:
    """The figures in one answer to `GET /containers/ID/stats`. What is missing or odd counts as 0."""
    cpu = _table(stats, "cpu_stats")
    usage = _table(cpu, "cpu_usage")
    memory = _table(stats, "memory_stats")
    networks = [each for each in _table(stats, "networks").values() if isinstance(each, dict)]
    transfers = list(_entries(_table(stats, "blkio_stats"), "io_service_bytes_recursive"))
    return Counters(
        cpu_ns=_count(usage, "total_usage"),
        system_cpu_ns=_count(cpu, "system_cpu_usage"),
        cpus=_count(cpu, "online_cpus") or len(_list(usage, "percpu_usage")) or 1,
        memory_usage_bytes=working_set_bytes(_count(memory, "usage"), _table(memory, "stats")),
        memory_limit_bytes=_count(memory, "limit"),
        network_rx_bytes=_sum(_count(each, "rx_bytes") for each in networks),
        network_tx_bytes=_sum(_count(each, "tx_bytes") for each in networks),
        disk_read_bytes=_transferred(transfers, "read"),
        disk_write_bytes=_transferred(transfers, "write"),
    )


def working_set_bytes(usage_bytes: int, stat: Json) -> int:
    """Memory without the page cache that the kernel could drop at once.

    Args:
        usage_bytes: What the control group is charged for.
        stat: Its `memory.stat`. Only version 2 has `anon`; in version 1 groups beneath count in the `total_`s.
    """
    if "anon" in stat:
        return _sum((_count(stat, "anon"), _count(stat, "active_file")))
    key = "total_inactive_file" if "total_inactive_file" in stat else "inactive_file"
    inactive_bytes = _count(stat, key)
    return usage_bytes - inactive_bytes if usage_bytes > inactive_bytes else usage_bytes


def sample(
    before: Counters | None, now: Counters, *, container_id: str, name: str, at: datetime
) -> Json:
    """The payload of a `container_stats` event. Sizes are whole bytes, percentages have one decimal.

    Args:
        before: The look before `now`, which CPU usage is measured against; without one it is 0.
        name: The container's, without a slash.
    """
    return {
        "container_id": container_id,
        "container_name": name,
        "cpu_percent": _cpu_percent(before, now),
        "memory_usage": now.memory_usage_bytes,
        "memory_limit": now.memory_limit_bytes,
        "memory_percent": _percent(now.memory_usage_bytes, now.memory_limit_bytes),
        "network_rx": now.network_rx_bytes,
        "network_tx": now.network_tx_bytes,
        "disk_read": now.disk_read_bytes,
        "disk_write": now.disk_write_bytes,
        "timestamp": _stamp(at),
    }


def zero_sample(*, container_id: str, name: str, at: datetime) -> Json:
    """The last one of a container that stopped: the server would show the one before for ever."""
    return sample(None, Counters(), container_id=container_id, name=name, at=at)


_stamp = lru_cache(maxsize=1)(rfc3339)
"""All samples of a tick have the same, and writing it takes as long as all the rest of one."""


def _cpu_percent(before: Counters | None, now: Counters) -> float:
    """Of one core, so that two busy cores are 200."""
    if before is None:
        return 0.0
    used_ns = now.cpu_ns - before.cpu_ns
    passed_ns = now.system_cpu_ns - before.system_cpu_ns
    return _percent(used_ns * now.cpus, passed_ns) if used_ns > 0 else 0.0


def _percent(part: int, whole: int) -> float:
    """With one decimal, rounded half up; 0 of nothing."""
    return (2000 * part + whole) // (2 * whole) / 10 if whole > 0 else 0.0


def _transferred(transfers: Iterable[Json], operation: str) -> int:
    # Version 1 of control groups says "Read", version 2 "read".
    return _sum(
        _count(each, "value") for each in transfers if str(each.get("op")).lower() == operation
    )


def _entries(table: Json, key: str) -> Iterator[Json]:
    return (each for each in _list(table, key) if isinstance(each, dict))


def _list(table: Json, key: str) -> list[Any]:
    value = table.get(key)
    return value if isinstance(value, list) else []


def _table(table: Json, key: str) -> Json:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _count(table: Json, key: str) -> int:
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return min(max(value, 0), MAX)


def _sum(counts: Iterable[int]) -> int:
    return min(sum(counts), MAX)
