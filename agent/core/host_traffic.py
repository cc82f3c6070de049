"""Which of a host's interfaces carry its traffic, so that no byte is counted twice and none between containers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

_VIRTUAL = (
    *("veth", "br-", "docker", "virbr", "vnet", "tun", "tap", "dummy", "gre", "sit", "ip6tnl"),
    *("vxlan", "flannel", "cni", "cali", "weave", "podman", "ifb"),
)
"""How names begin of what engines, hypervisors and tunnels make: their traffic crosses another interface too."""

_STACKED = re.compile(r"(br|vmbr|bond|team)\d+")
"""What administrators call bridges and bonds, for where only names can be had."""

_LAYERS = {"bridge", "bonding"}


def may_carry(name: str) -> bool:
    """Whether an interface of this name is worth a closer look."""
    return name != "lo" and not name.startswith(_VIRTUAL)


def carriers(interfaces: Mapping[str, Collection[str]]) -> list[str]:
    """Those to count: what has hardware behind it, or on a host without any (a guest container), what stands alone.

    A bond, a VLAN or a bridge hands each byte on to what it is made of, where it is counted.

    Args:
        interfaces: By name, the entries of its directory in `/sys/class/net`: `device` is a link to hardware, each
            `lower_*` one to an interface beneath it.
    """
    alone = {name: entries for name, entries in interfaces.items() if not _is_stacked(entries)}
    return [name for name, entries in alone.items() if "device" in entries] or list(alone)


def carriers_by_name(names: Collection[str], stacked: Collection[str]) -> list[str]:
    """Those to count where `/sys` cannot be had: the names have to do.

    Args:
        stacked: Those known to be built on others: the entries of `/proc/net/vlan` and `/proc/net/bonding`.
    """
    return [
        name
        for name in names
        if may_carry(name)
        and name not in stacked
        and "." not in name  # eth0.10 is a VLAN
        and not _STACKED.fullmatch(name)
    ]


def traffic_bytes(net_dev: str) -> Iterator[tuple[str, int]]:
    """(interface, bytes received and sent) for each line of the text of `/proc/<pid>/net/dev`."""
    for line in net_dev.splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        # Eight figures about receiving, then those about sending: proc(5).
        if colon and len(words) > 8 and words[0].isdecimal() and words[8].isdecimal():
            yield name.strip(), int(words[0]) + int(words[8])


def _is_stacked(entries: Collection[str]) -> bool:
    return not _LAYERS.isdisjoint(entries) or any(each.startswith("lower_") for each in entries)
