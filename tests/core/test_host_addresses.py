"""Which addresses are the host's own."""

from __future__ import annotations

import pytest

from agent.core.host_addresses import is_own_interface, local_addresses, own_addresses

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.20.0.0/24 2 0 2
        |-- 10.20.0.0
           /24 link UNICAST
        |-- 10.20.0.7
           /32 host LOCAL
        |-- 10.20.0.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
     |-- 172.17.0.1
        /32 host LOCAL
Local:
  +-- 0.0.0.0/0 3 0 5
        |-- 10.20.0.7
           /32 host LOCAL
"""


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("eth0", True),
        ("enp3s0", True),
        ("wlan0", True),
        ("bond0.42", True),
        ("br0", True),
        ("docker0", False),
        ("docker_gwbridge", False),
        ("cni0", False),
        ("veth1a2b3c", False),
        ("br-4f1c2d3e4f5a", False),
        ("virbr0", False),
        ("flannel.1", False),
        ("cali1234", False),
        ("cni-podman0", False),
        ("weave", False),
        ("podman1", False),
        ("vxlan.calico", False),
        ("tunl0", False),
    ],
)
def test_which_interfaces_are_the_hosts_own(name: str, own: bool) -> None:
    """Not those that container engines make, by the names they give them."""
    assert is_own_interface(name) is own


def test_local_addresses_stand_in_the_routing_trie() -> None:
    """Each once, in the kernel's order; neither networks nor broadcasts."""
    assert list(local_addresses(FIB_TRIE)) == ["10.20.0.7", "127.0.0.1", "172.17.0.1"]


@pytest.mark.parametrize("text", ["", "Main:\n", "|--\n", "|-- a b\n"])
def test_an_unreadable_trie_has_no_addresses(text: str) -> None:
    """Another kernel may write it differently."""
    assert list(local_addresses(text)) == []


def test_own_addresses_are_those_that_others_can_use() -> None:
    """Loopback, link-local and the containers' networks are left out; what is no address is passed over."""
    addresses = [
        *("127.0.0.1", "::1", "169.254.3.4", "fe80::1", "rack7", ""),
        *("172.17.0.1", "fd00::1", "10.20.0.7", "10.20.0.7", "2001:db8::7"),
    ]
    subnets = ["172.17.0.0/16", "fd00::/64", "not a network", "10.20.0.9/32"]
    assert own_addresses(addresses, subnets) == ("10.20.0.7", "2001:db8::7")
    assert own_addresses(addresses, ["172.17.0.1/16"]) == ("fd00::1", "10.20.0.7", "2001:db8::7")
