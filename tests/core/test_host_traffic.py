"""Each byte of the host is counted once, whatever its interfaces are stacked into."""

from __future__ import annotations

import pytest

from agent.core.host_traffic import carriers, carriers_by_name, may_carry, traffic_bytes

NET_DEV = """\
Inter-|   Receive                                        |  Transmit
 face |bytes  packets errs drop fifo frame comp multicast|bytes  packets errs drop fifo colls
    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0
  eth0: 229008491  5266    0    0    0     0          0         0   304918    2903    0    0
docker0:0       0    0    0    0     0          0         0        7       0    0    2    0
broken: 12 x
"""

NIC = ["address", "device", "operstate", "statistics"]
PLAIN = ["address", "operstate", "statistics"]


@pytest.mark.parametrize(
    ("interfaces", "counted"),
    [
        pytest.param({"eth0": NIC, "wlan0": NIC}, {"eth0", "wlan0"}, id="hardware"),
        pytest.param(
            {
                "eth0": [*NIC, "master", "upper_bond0"],
                "eth1": [*NIC, "master", "upper_bond0"],
                "bond0": [*PLAIN, "bonding", "lower_eth0", "lower_eth1", "upper_bond0.10"],
                "bond0.10": [*PLAIN, "lower_bond0"],
            },
            {"eth0", "eth1"},
            id="a VLAN on a bond",
        ),
        pytest.param(
            {"eno1": [*NIC, "master"], "vmbr0": [*PLAIN, "bridge", "lower_eno1"]},
            {"eno1"},
            id="a bridge",
        ),
        pytest.param({"eth0": NIC, "wg0": PLAIN}, {"eth0"}, id="a tunnel"),
        pytest.param({"eth0": PLAIN}, {"eth0"}, id="a guest container's only interface"),
        pytest.param(
            {"eth0": PLAIN, "br0": [*PLAIN, "bridge"], "eth0.7": [*PLAIN, "lower_eth0"]},
            {"eth0"},
            id="a guest container that stacks",
        ),
        pytest.param({"lan1": [*NIC, "lower_eth0"], "eth0": NIC}, {"eth0"}, id="a switch"),
        pytest.param({}, set(), id="nothing"),
    ],
)
def test_what_is_counted(interfaces: dict[str, list[str]], counted: set[str]) -> None:
    """What is at the bottom, where the bytes leave the host."""
    assert set(carriers(interfaces)) == counted


def test_what_is_counted_by_its_name_alone() -> None:
    """Where `/sys` cannot be had, names tell VLANs and bridges, and the kernel lists what it stacked itself."""
    names = ["lo", "eth0", "eth0.10", "bond0", "br0", "vmbr1", "team0", "vlan7", "docker0", "brcm"]
    assert carriers_by_name(names, stacked={"vlan7", "config"}) == ["eth0", "brcm"]


@pytest.mark.parametrize("name", ["eth0", "enp3s0", "wlan0", "bond0", "vmbr0", "brcm0", "loop"])
def test_names_worth_a_look(name: str) -> None:
    """They may be hardware."""
    assert may_carry(name)


@pytest.mark.parametrize(
    "name", ["lo", "veth12ab", "br-3b7e0c", "docker0", "virbr0", "tun0", "cali9", "flannel.1"]
)
def test_names_not_worth_a_look(name: str) -> None:
    """Engines, hypervisors and tunnels make hundreds of them."""
    assert not may_carry(name)


def test_the_counters_of_all_interfaces() -> None:
    """Received and sent together; a line that cannot be read is left out."""
    assert dict(traffic_bytes(NET_DEV)) == {
        "lo": 6386,
        "eth0": 229313409,
        "docker0": 7,
    }
