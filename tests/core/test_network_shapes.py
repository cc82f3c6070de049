"""Networks as the server wants them, and those it may create."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.network_shapes import InvalidNetwork, network, network_config, network_list
from agent.core.usage import Usage

FRONT = {
    "Id": "4e" * 32,
    "Name": "front",
    "Driver": "bridge",
    "Scope": "local",
    "Created": "2031-05-04T05:02:01.5+02:00",
    "Internal": True,
    "IPAM": {"Config": [{"Subnet": "172.22.0.0/16"}, {"Subnet": "fd00::/64"}]},
}


def test_a_network() -> None:
    """Its first subnet, its containers, its creation in UTC."""
    web = {"id": "a" * 12, "name": "web"}
    assert network(FRONT, Usage(networks={"4e" * 32: [web]})) == {
        "id": "4e" * 6,
        "name": "front",
        "driver": "bridge",
        "scope": "local",
        "created": "2031-05-04T03:02:01Z",
        "internal": True,
        "subnet": "172.22.0.0/16",
        "containers": [web],
        "container_count": 1,
        "is_builtin": False,
    }


@pytest.mark.parametrize("ipam", [None, {}, {"Config": None}, {"Config": []}, {"Config": [{}]}, 7])
def test_a_network_without_addresses(ipam: object) -> None:
    """Of `host` and `none` the engine knows no subnet: it is empty, never null."""
    shown = network({**FRONT, "IPAM": ipam}, Usage())
    assert (shown["subnet"], shown["containers"]) == ("", [])


def test_sorted_by_name() -> None:
    """Those the engine makes itself are marked; what has no ID is left out."""
    names = ["none", "front", "bridge", "host"]
    shown = network_list([{}, *({"Id": name, "Name": name} for name in names)], Usage())
    assert [(each["name"], each["is_builtin"]) for each in shown] == [
        ("bridge", True),
        ("front", False),
        ("host", True),
        ("none", True),
    ]


def config(**change: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"subnet": "", "gateway": "", "internal": False} | change
    return network_config("front", "bridge", **given)


BARE = {"Name": "front", "Driver": "bridge", "Internal": False, "CheckDuplicate": True}


@pytest.mark.parametrize(
    ("change", "body"),
    [
        ({}, {}),
        ({"internal": True}, {"Internal": True}),
        (
            {"subnet": "172.30.0.0/16"},
            {"IPAM": {"Driver": "default", "Config": [{"Subnet": "172.30.0.0/16"}]}},
        ),
        (
            {"subnet": "172.30.0.0/16", "gateway": "172.30.0.1"},
            {
                "IPAM": {
                    "Driver": "default",
                    "Config": [{"Subnet": "172.30.0.0/16", "Gateway": "172.30.0.1"}],
                }
            },
        ),
        (
            {"subnet": "fd00:1::/64"},
            {
                "EnableIPv6": True,
                "IPAM": {"Driver": "default", "Config": [{"Subnet": "fd00:1::/64"}]},
            },
        ),
    ],
)
def test_what_is_created(change: dict[str, Any], body: dict[str, Any]) -> None:
    """Without a subnet nothing is said of addresses, so the engine chooses them."""
    assert config(**change) == BARE | body


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"gateway": "172.30.0.1"}, "a gateway needs a subnet"),
        ({"subnet": "172.30.0.1/16"}, "no network address"),
        ({"subnet": "all of it"}, "no network address"),
        ({"subnet": "172.30.0.0/16", "gateway": "here"}, "no IP address"),
        ({"subnet": "172.30.0.0/16", "gateway": "10.0.0.1"}, "is not in the subnet"),
        ({"subnet": "172.30.0.0/16", "gateway": "fd00::1"}, "is not in the subnet"),
    ],
)
def test_what_no_engine_could_create(change: dict[str, Any], wrong: str) -> None:
    """Told before the engine is asked, in words that say which value is wrong."""
    with pytest.raises(InvalidNetwork, match=wrong):
        config(**change)
