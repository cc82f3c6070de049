"""What a container asks of its networks, out of what the engine reports of them."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.endpoints import (
    asked_endpoints,
    asked_mac_address,
    endpoint,
    has_endpoints,
    primary_network,
)

Json = dict[str, Any]
SHORT = "9ab3c1d2e4f5"
NETWORK_ID = "f00d" * 16

REPORTED: Json = {
    "IPAMConfig": {
        "IPv4Address": "10.9.0.5",
        "IPv6Address": "fd00::5",
        "LinkLocalIPs": ["169.254.1.1"],
    },
    "Links": ["db:database"],
    "Aliases": ["web", SHORT, "abcdefabcdef"],
    "NetworkID": NETWORK_ID,
    "EndpointID": "e" * 64,
    "Gateway": "10.9.0.1",
    "IPAddress": "10.9.0.5",
    "IPPrefixLen": 24,
    "IPv6Gateway": "fd00::1",
    "GlobalIPv6Address": "fd00::5",
    "GlobalIPv6PrefixLen": 64,
    "MacAddress": "02:42:0a:09:00:05",
    "DriverOpts": {"com.example": "1"},
    "GwPriority": 10,
    "DNSNames": ["web", SHORT],
}


def test_what_was_asked_for_stays() -> None:
    """Static addresses, links, every alias but the engine's own, driver options, what is not known to us."""
    reported = REPORTED | {"Invented": "later"}
    assert endpoint("paper", reported, short_id=SHORT, mac_address="") == {
        "IPAMConfig": REPORTED["IPAMConfig"],
        "Links": ["db:database"],
        "Aliases": ["web", "abcdefabcdef"],
        "DriverOpts": {"com.example": "1"},
        "GwPriority": 10,
        "Invented": "later",
    }


def test_what_the_default_network_refuses() -> None:
    """Addresses, aliases and links are for networks that users made."""
    assert endpoint("bridge", REPORTED, short_id=SHORT, mac_address="02:00:00:00:00:01") == {
        "DriverOpts": {"com.example": "1"},
        "GwPriority": 10,
        "MacAddress": "02:00:00:00:00:01",
    }


@pytest.mark.parametrize(
    "reported", [None, {}, {"Aliases": None, "IPAMConfig": {}}, {"Aliases": [SHORT]}]
)
def test_nothing_was_asked_for(reported: Json | None) -> None:
    """Then nothing is."""
    assert endpoint("paper", reported, short_id=SHORT, mac_address="") == {}


@pytest.mark.parametrize(
    ("reported", "asked"),
    [
        ({"MacAddress": "02:42:0a:09:00:05", "IPAddress": "10.9.0.5"}, ""),
        ({"MacAddress": "02:42:0A:09:00:05", "IPAddress": "10.9.0.5"}, ""),
        ({"MacAddress": "02:42:0a:09:00:06", "IPAddress": "10.9.0.5"}, "02:42:0a:09:00:06"),
        ({"MacAddress": "52:54:00:00:00:01", "IPAddress": "10.9.0.5"}, "52:54:00:00:00:01"),
        ({"MacAddress": "52:54:00:00:00:01", "IPAddress": ""}, "52:54:00:00:00:01"),
        ({"MacAddress": "", "IPAddress": ""}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_mac_addresses(reported: Json | None, asked: str) -> None:
    """The engine's own is the IPv4 address with 02:42 before it."""
    assert asked_mac_address(reported) == asked


@pytest.mark.parametrize(
    ("networks", "mode", "primary"),
    [
        (["bridge"], "default", "bridge"),
        (["bridge"], "bridge", "bridge"),
        (["back", "paper"], "paper", "paper"),
        (["back", "paper"], NETWORK_ID, "paper"),
        (["back", "paper"], NETWORK_ID[:12], "paper"),
        (["back", "paper"], "default", "back"),
        (["back", "paper"], "f00d", "back"),
        (["podman"], "bridge", "podman"),
        ([], "paper", None),
    ],
)
def test_the_primary_network(networks: list[str], mode: str, primary: str | None) -> None:
    """By name, by ID, and any of them where the container has been taken off the one it was made with."""
    settings: Json = {name: {"NetworkID": "0" * 64} for name in networks}
    if "paper" in settings:
        settings["paper"] = {"NetworkID": NETWORK_ID}
    assert primary_network(settings, mode) == primary


@pytest.mark.parametrize(
    ("mode", "on_docker", "on_podman"),
    [
        ("default", True, True),
        ("bridge", True, True),
        ("hostnet", True, True),
        ("host", False, False),
        ("none", False, False),
        ("container:web", False, False),
        ("pasta", True, False),
        ("slirp4netns:mtu=1400", True, False),
    ],
)
def test_modes_without_networks(mode: str, on_docker: bool, on_podman: bool) -> None:
    """Podman has some more; on Docker those are names like others."""
    assert has_endpoints(mode, is_podman=False) is on_docker
    assert has_endpoints(mode, is_podman=True) is on_podman


def test_the_primary_one_comes_first() -> None:
    """It is the one to create the container with."""
    networks: Json = {"a": {}, "b": {"Aliases": [SHORT, "web"]}, "c": None}
    asked = asked_endpoints(networks, "b", short_id=SHORT, container_mac="", api=(1, 44))
    assert list(asked.items()) == [("b", {"Aliases": ["web"]}), ("a", {}), ("c", {})]
