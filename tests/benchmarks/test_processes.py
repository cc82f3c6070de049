"""Reading `/proc`."""

from __future__ import annotations

import os

import pytest

from benchmarks import processes
from benchmarks.processes import EngineProcesses, Memory, container_of, memory_of, stat_of

LINE = (
    "4242 (tmux: a) b) S 17 4242 4242 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 12 0 100 1000 200 "
    "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0"
)

ROLLUP = """\
00400000-7ffd0000 ---p 00000000 00:00 0                              [rollup]
Rss:               51200 kB
Pss:               40960 kB
Pss_Anon:          20480 kB
Shared_Clean:       6144 kB
Shared_Dirty:          0 kB
Private_Clean:     10240 kB
Private_Dirty:     30720 kB
Anonymous:         35840 kB
"""


def test_a_name_may_hold_brackets() -> None:
    """The fields are counted from the last bracket, so that a name cannot shift them."""
    found = stat_of(LINE)
    assert (found.name, found.parent, found.threads) == ("tmux: a) b", 17, 12)
    assert found.cpu_ms == 300 * 1e3 / processes.TICKS_PER_S


def test_memory_is_in_units_of_two_to_the_twenty() -> None:
    """Private is what is clean and what is dirty; mapped is what is not anonymous."""
    assert memory_of(ROLLUP) == Memory(rss=50.0, pss=40.0, private=40.0, mapped=15.0)


@pytest.mark.parametrize(
    ("cmdline", "container"),
    [
        (b"containerd-shim-runc-v2\0-namespace\0moby\0-id\0c0ffee\0-address\0/run/c\0", "c0ffee"),
        (b"containerd-shim-runc-v2\0-version\0", None),
        (b"containerd-shim-runc-v2\0-id", None),
        (b"", None),
    ],
)
def test_a_shim_tells_its_container(cmdline: bytes, container: str | None) -> None:
    """It stands behind `-id`; a process that has ended tells nothing."""
    assert container_of(cmdline) == container


def test_this_process_is_among_all() -> None:
    """What the kernel of this machine writes can be read."""
    found = dict(processes.all_processes())
    assert found[os.getpid()].parent == os.getppid()
    assert processes.memory(os.getpid()).private > 1
    assert processes.descriptors(os.getpid()) >= 3


def test_whoever_has_ended_costs_nothing() -> None:
    """A shim may go between two looks."""
    gone = 2**22 + 1  # above the largest there can be
    cpu_ms = EngineProcesses(os.getpid(), None, (gone,)).cpu_ms()
    assert cpu_ms["dockerd"] > 0
    assert (cpu_ms["containerd"], cpu_ms["shims"]) == (0, 0)


def test_what_a_tick_hides() -> None:
    """A shim's time is counted to the nanosecond, and agrees with the ticks of a whole process."""
    own = [os.getpid()]
    before_ms = processes.scheduled_ms(own)
    sum(range(100_000))
    os.sched_yield()  # the kernel adds up when somebody is to run next
    assert before_ms < processes.scheduled_ms(own) <= processes.total_cpu_ms(own) + 1e3
