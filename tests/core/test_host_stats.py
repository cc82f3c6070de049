"""The host's figures from the kernel's texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.host_stats import HostReading, cpu_ticks, host_stats, memory_bytes

STAT = """\
cpu  26419 7 4710 239151 557 3 67 121 5000 100
cpu0 12720 0 1826 120877 44 0 14 60 0 0
intr 1 2 3
"""

MEMINFO = """\
MemTotal:       24684084 kB
MemFree:        23742072 kB
MemAvailable:   23865320 kB
HugePages_Total:       0
"""


def test_cpu_time() -> None:
    """Eight kinds of all cores together; what guests used is in `user` and `nice` already."""
    assert cpu_ticks(STAT) == (26419, 7, 4710, 239151, 557, 3, 67, 121)


def test_memory() -> None:
    """In bytes."""
    assert memory_bytes(MEMINFO) == (24684084 * 1024, 23865320 * 1024)


@pytest.mark.parametrize("text", ["", "cpu", "cpu0 1 2 3", "garbage\n"])
def test_cpu_time_that_is_not_told(text: str) -> None:
    """Then there is none."""
    assert cpu_ticks(text) == ()


@pytest.mark.parametrize("text", ["", "MemTotal: 5 kB\n", "MemTotal:\nMemAvailable:\n"])
def test_memory_that_is_not_told(text: str) -> None:
    """One figure without the other would make a wrong percentage."""
    assert memory_bytes(text) == (0, 0)


BEFORE = HostReading((100, 0, 100, 800, 0, 0, 0, 0), 2000, 1500, {"eth0": 1000, "eth1": 50})


def test_the_figures() -> None:
    """Busy is all but idle and waiting for disks; traffic is for each second."""
    now = HostReading((110, 5, 102, 960, 20, 1, 1, 1), 2000, 500, {"eth0": 4000, "eth1": 1050})
    assert host_stats(BEFORE, now, 2.0) == {
        "cpu_percent": 10.0,
        "mem_percent": 75.0,
        "net_bytes_per_sec": 2000.0,
    }


def test_iowait_that_decreases() -> None:
    """The kernel corrects it now and then. It does not make the rest absurd."""
    before = HostReading((100, 0, 0, 800, 90))
    now = HostReading((150, 0, 0, 850, 10))
    assert host_stats(before, now, 2.0)["cpu_percent"] == 50.0


def test_interfaces_that_come_go_and_begin_anew() -> None:
    """Only what two looks saw, and only what grew."""
    now = HostReading(traffic_bytes={"eth0": 10, "eth1": 70, "wlan0": 999_999})
    assert host_stats(BEFORE, now, 2.0)["net_bytes_per_sec"] == 10.0


def test_a_host_that_tells_nothing() -> None:
    """Zeros, not a division by zero."""
    figures = host_stats(HostReading(), HostReading(), 2.0)
    assert figures == {"cpu_percent": 0.0, "mem_percent": 0.0, "net_bytes_per_sec": 0.0}


COUNT = st.integers(0, 2**64)
READINGS = st.builds(
    HostReading,
    st.lists(COUNT, max_size=8).map(tuple),
    COUNT,
    COUNT,
    st.dictionaries(st.sampled_from(["eth0", "eth1"]), COUNT),
)


@given(READINGS, READINGS)
def test_any_two_readings(before: HostReading, now: HostReading) -> None:
    """CPU usage is between 0 and 100, and no traffic is negative."""
    figures = host_stats(before, now, 2.0)
    assert 0 <= figures["cpu_percent"] <= 100
    assert figures["net_bytes_per_sec"] >= 0


@given(st.text())
def test_any_text(text: str) -> None:
    """Nothing that a file may hold is an error."""
    assert all(ticks >= 0 for ticks in cpu_ticks(f"cpu {text}"))
    assert min(memory_bytes(f"MemTotal: {text}\nMemAvailable: {text}")) >= 0
