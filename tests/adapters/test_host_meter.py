"""The host's figures from `/proc` and `/sys`, wherever they are mounted, and never our own container's instead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.adapters.host_meter import LinuxHostMeter
from agent.core.host_stats import HostReading

STAT = "cpu  100 0 50 800 7 0 1 2 0 0\ncpu0 100 0 50 800 7 0 1 2 0 0\n"
MEMINFO = "MemTotal: 4000 kB\nMemFree: 10 kB\nMemAvailable: 1000 kB\n"
NET_DEV = """\
Inter-|   Receive                           |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo
    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0
  eth0: 100 1 0 0 0 0 0 0 23 1 0 0 0
 bond0: 100 1 0 0 0 0 0 0 23 1 0 0 0
 vlan7: 100 1 0 0 0 0 0 0 23 1 0 0 0
"""

READING = HostReading((100, 0, 50, 800, 7, 0, 1, 2), 4000 * 1024, 1000 * 1024, {"eth0": 123})


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def interface(
    name: str, *, rx: int, tx: int, entries: str = "", state: str = "up"
) -> dict[str, str]:
    """As in `/sys/class/net`; `entries` are names of further entries."""
    directory = f"sys/class/net/{name}"
    return {
        f"{directory}/operstate": f"{state}\n",
        f"{directory}/statistics/rx_bytes": f"{rx}\n",
        f"{directory}/statistics/tx_bytes": f"{tx}\n",
        **{f"{directory}/{entry}": "" for entry in entries.split()},
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a host's `/proc` is, without anything about its network yet."""
    write(tmp_path, {"proc/stat": STAT, "proc/meminfo": MEMINFO})
    return tmp_path


def test_proc_and_sys(root: Path) -> None:
    """Hardware that is up counts; what is stacked on it, or belongs to containers, does not."""
    write(root, interface("lo", rx=999, tx=999, state="unknown"))
    write(root, interface("eth0", rx=100, tx=23, entries="device master upper_bond0"))
    write(root, interface("eth1", rx=77, tx=77, entries="device", state="down"))
    write(root, interface("bond0", rx=100, tx=23, entries="bonding lower_eth0"))
    write(root, interface("veth12ab", rx=5, tx=5))
    write(root, {"sys/class/net/bonding_masters": "bond0\n"})
    assert LinuxHostMeter(contained=False, root=root).read() == READING


def test_a_driver_that_does_not_know_its_state(root: Path) -> None:
    """It counts."""
    write(root, interface("eth0", rx=100, tx=23, entries="device", state="unknown"))
    assert LinuxHostMeter(contained=False, root=root).read() == READING


def test_proc_alone(root: Path) -> None:
    """The network is that of the host's first process: a container's own `net` would be its own."""
    write(root, {"proc/1/net/dev": NET_DEV, "proc/net/dev": NET_DEV.replace("eth0", "eth9")})
    write(root, {"proc/1/net/vlan/vlan7": "", "proc/1/net/bonding/bond0": ""})
    assert LinuxHostMeter(contained=True, root=root).read() == READING


def test_a_container_that_was_given_nothing() -> None:
    """The usual places are not there: what `/proc` tells here is not the host's, and is not asked."""
    if Path("/host").exists():
        pytest.skip("this machine has a /host")
    assert LinuxHostMeter(contained=True).read() is None


@pytest.mark.parametrize("missing", ["proc/stat", "proc/meminfo"])
def test_a_part_that_cannot_be_read(root: Path, missing: str) -> None:
    """Half the figures would be shown as zeros."""
    write(root, interface("eth0", rx=100, tx=23, entries="device"))
    (root / missing).unlink()
    assert LinuxHostMeter(contained=False, root=root).read() is None


def test_no_network_to_be_seen(root: Path) -> None:
    """Neither `/sys` nor the first process."""
    assert LinuxHostMeter(contained=True, root=root).read() is None


def test_an_interface_that_goes_meanwhile(root: Path) -> None:
    """The others count."""
    write(root, interface("eth0", rx=100, tx=23, entries="device"))
    write(root, interface("usb0", rx=1, tx=1, entries="device"))
    (root / "sys/class/net/usb0/statistics/rx_bytes").unlink()
    assert LinuxHostMeter(contained=False, root=root).read() == READING


def test_this_machine() -> None:
    """Natively, the kernel's own files can be read."""
    reading = LinuxHostMeter(contained=False).read()
    assert reading is not None
    assert len(reading.cpu_ticks) == 8
    assert 0 < reading.memory_available_bytes <= reading.memory_total_bytes
