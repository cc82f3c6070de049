"""Where a container's control group is, and what its files say. Version 2's are from the kernel's documentation."""

from __future__ import annotations

import pytest

from agent.core.control_groups import (
    figure,
    group_of,
    limit_bytes,
    memberships,
    seen_from,
    traffic,
    transferred_v1,
    transferred_v2,
    working_set_v1,
    working_set_v2,
)

WEB, OUTER = "a" * 64, "b" * 64

V1 = f"""\
9:name=systemd:/docker/{WEB}
7:blkio:/docker/{WEB}
4:memory:/docker/{WEB}
2:cpu,cpuacct:/docker/{WEB}
0::/docker/{WEB}
"""

MEMORY_V1 = b"""\
cache 8192
inactive_file 1
total_cache 8192
total_inactive_file 4096
total_active_file 100
"""

# As in Documentation/admin-guide/cgroup-v2.rst: keys in this order, nothing but figures.
MEMORY_V2 = b"""\
anon 1048576
file 2097152
kernel 524288
file_mapped 4096
inactive_anon 1044480
active_anon 4096
inactive_file 1572864
active_file 65536
unevictable 0
"""
CPU_V2 = b"usage_usec 123456\nuser_usec 100000\nsystem_usec 23456\nnr_periods 0\n"
IO_V2 = b"""\
8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0
8:0 rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 dbytes=50331648 dios=3021
"""

DISK_V1 = b"""\
254:0 Read 3276800
254:0 Write 8192
254:0 Sync 6553600
254:0 Total 6553600
8:0 read 1
8:0 WRITE 2
Total 6553603
"""

NETWORK = b"""\
Inter-|   Receive                                                |  Transmit
    lo:  500000    10    0    0    0     0          0         0   500000      10    0    0    0     0       0          0
  eth0:     682     7    0    0    0     0          0         0       42       1    0    0    0     0       0          0
  eth1:1000       7    0    0    0     0          0         0        8       1    0    0    0     0       0          0
docker0:   9999     7    0    0    0     0          0         0     9999       1    0    0    0     0       0          0
  tun0:    9999     7    0    0    0     0          0         0     9999       1    0    0    0     0       0          0
"""


def test_memberships() -> None:
    """By controller; those mounted together share a line, and version 2's line has none."""
    assert memberships(V1) == dict.fromkeys(
        ["name=systemd", "blkio", "memory", "cpu", "cpuacct", ""], f"/docker/{WEB}"
    )
    assert memberships("0::/a:b c\n") == {"": "/a:b c"}
    assert memberships("odd\n\n") == {}


@pytest.mark.parametrize(
    ("path", "group"),
    [
        (f"/docker/{WEB}", f"/docker/{WEB}"),
        (f"/system.slice/docker-{WEB}.scope", f"/system.slice/docker-{WEB}.scope"),
        (f"/a/deep.slice/{WEB}", f"/a/deep.slice/{WEB}"),
        (f"/docker/{WEB}/init.scope", f"/docker/{WEB}"),
        (f"/machine.slice/libpod-{WEB}.scope/container", f"/machine.slice/libpod-{WEB}.scope"),
        (f"/docker/{OUTER}/docker/{WEB}", f"/docker/{OUTER}/docker/{WEB}"),
        (f"/docker/{WEB}/docker/{OUTER}", f"/docker/{WEB}"),
        (f"/../../docker/{WEB}", f"/../../docker/{WEB}"),
        ("/", None),
        ("/init.scope", None),
        (f"/docker/{OUTER}", None),
    ],
)
def test_the_group_of_a_container(path: str, group: str | None) -> None:
    """Not one beneath, into which an init system moved itself; and nobody else's."""
    assert group_of(path, WEB) == group


@pytest.mark.parametrize(
    ("root", "path", "seen"),
    [
        ("", f"/docker/{WEB}", f"docker/{WEB}"),
        ("docker/agent", f"/../{WEB}", f"docker/{WEB}"),
        ("docker/agent", f"/../../a/b/{WEB}", f"a/b/{WEB}"),
        ("system.slice/agent.scope", "/../web.scope", "system.slice/web.scope"),
        ("docker/agent", "/below", "docker/agent/below"),
        ("docker", f"/../../{WEB}", None),
        ("", f"/../{WEB}", None),
    ],
)
def test_in_a_namespace(root: str, path: str, seen: str | None) -> None:
    """What is shown is the way from the reader's own group."""
    assert seen_from(root, path) == seen


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"anon ", 1048576), (b"active_file ", 65536), (b"unevictable ", 0), (b"file ", 2097152)],
)
def test_a_figure(key: bytes, value: int) -> None:
    """Of the key itself, and not of one that ends like it."""
    assert figure(MEMORY_V2, key) == value


def test_a_figure_that_is_not_there() -> None:
    """It counts as 0, as everywhere."""
    assert figure(MEMORY_V2, b"swapcached ") == 0
    assert figure(b"", b"anon ") == 0


def test_cpu_time_of_version_2() -> None:
    """In microseconds."""
    assert figure(CPU_V2, b"usage_usec ") == 123456


def test_working_sets() -> None:
    """Version 1 without what the kernel could drop, groups beneath included; version 2 as the server counts it."""
    assert working_set_v1(10_000, MEMORY_V1) == 10_000 - 4096
    assert working_set_v1(4096, MEMORY_V1) == 4096
    assert working_set_v2(MEMORY_V2) == 1048576 + 65536


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (b"max\n", 8000),
        (b"9223372036854771712\n", 8000),
        (b"1000\n", 1000),
        (b"0\n", 0),
        (b"", 8000),
    ],
)
def test_limits(limit: bytes, told: int) -> None:
    """Without one it is what the host has."""
    assert limit_bytes(limit, 8000) == told


def test_disks() -> None:
    """Of all devices together; other operations and totals count nothing once more."""
    assert transferred_v1(DISK_V1) == (3276801, 8194)
    assert transferred_v1(b"Total 0\n") == (0, 0)
    assert transferred_v2(IO_V2) == (1459200 + 90430464, 314773504 + 299008000)
    assert transferred_v2(b"8:0 \n") == (0, 0)


def test_networks() -> None:
    """What the engine gave the container, and not what it made within: that sends through the other."""
    assert traffic(NETWORK) == (1682, 50)
    assert traffic(b"") == (0, 0)
