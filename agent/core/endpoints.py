"""What a container asked of each of its networks."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address
from typing import Any

Json = dict[str, Any]

PER_ENDPOINT = (1, 44)
"""The first API where a container is created with several networks at once, each with a MAC address of its own."""

_WITHOUT_ENDPOINTS = frozenset({"host", "none", "container"})
_PODMANS_WITHOUT_ENDPOINTS = frozenset({"ns", "pasta", "private", "slirp4netns"})

_STATE = frozenset(
    {
        "DNSNames",
        "EndpointID",
        "Gateway",
        "GlobalIPv6Address",
        "GlobalIPv6PrefixLen",
        "IPAddress",
        "IPPrefixLen",
        "IPv6Gateway",
        "MacAddress",  # the one in use: see asked_mac_address
        "NetworkID",
    }
)
"""What the engine reports of an endpoint and nobody asked for. All else is taken over, known to us or not."""

_USER_DEFINED_ONLY = frozenset({"Aliases", "IPAMConfig", "Links"})
"""Refused on the engine's default network."""


def has_endpoints(mode: str, *, is_podman: bool) -> bool:
    """Tells whether a container of this network mode has networks of its own to ask something of."""
    scheme = mode.partition(":")[0]
    return scheme not in _WITHOUT_ENDPOINTS and not (
        is_podman and scheme in _PODMANS_WITHOUT_ENDPOINTS
    )


def primary_network(networks: Json, mode: str) -> str | None:
    """The network, by its name in `networks`, that the container is created with; None if there is none.

    Args:
        networks: `NetworkSettings.Networks`.
        mode: `HostConfig.NetworkMode`: a name, an ID, or "default". It stays what it was at creation, though the
            container may have been disconnected from that network since; then it is the first that there is.
    """
    name = "bridge" if mode == "default" else mode
    if name in networks:
        return name
    by_id = (
        key
        for key, settings in networks.items()
        if len(name) >= 12 and str((settings or {}).get("NetworkID")).startswith(name)
    )
    return next(by_id, next(iter(networks), None))


def asked_endpoints(
    networks: Json, primary: str, *, short_id: str, container_mac: str, api: tuple[int, int]
) -> dict[str, Json]:
    """The `EndpointSettings` to ask for, by network, the primary one first.

    Args:
        networks: `NetworkSettings.Networks`: what the engine reports of each endpoint.
        short_id: The container's ID, 12 characters.
        container_mac: `Config.MacAddress`, which until API 1.52 tells the address that was asked for on the primary
            network; "" for none. Before API 1.44 it can be asked for only there, and no other network takes one.
    """

    def ask(name: str) -> Json:
        mac_address = ""
        if api >= PER_ENDPOINT:
            is_told = name == primary and api < (1, 52)
            mac_address = container_mac if is_told else asked_mac_address(networks[name])
        return endpoint(name, networks[name], short_id=short_id, mac_address=mac_address)

    return {name: ask(name) for name in sorted(networks, key=lambda name: name != primary)}


def endpoint(name: str, settings: Json | None, *, short_id: str, mac_address: str) -> Json:
    """The `EndpointSettings` to ask for on the network `name`.

    Args:
        settings: What the engine reports of the endpoint.
        short_id: The container's ID, 12 characters, which older engines list among its aliases.
        mac_address: "" for one of the engine's choice.
    """
    asked = {key: value for key, value in (settings or {}).items() if key not in _STATE and value}
    if name == "bridge":
        asked = {key: value for key, value in asked.items() if key not in _USER_DEFINED_ONLY}
    if aliases := [alias for alias in asked.pop("Aliases", ()) if alias != short_id]:
        asked["Aliases"] = aliases
    if mac_address:
        asked["MacAddress"] = mac_address
    return asked


def asked_mac_address(settings: Json | None) -> str:
    """The MAC address of an endpoint, unless it is plain that nobody asked for it; "" without one.

    The engine reports the one in use. Until version 28 it derives those that it chooses from the IPv4 address; one that
    is asked for again after the IP address changed would be some other container's. A newer engine chooses at random:
    to keep such a one does no harm.
    """
    mac_address = str((settings or {}).get("MacAddress") or "").lower()
    return "" if mac_address == _derived((settings or {}).get("IPAddress")) else mac_address


def _derived(ip_address: object) -> str | None:
    try:
        return "02:42:" + IPv4Address(str(ip_address)).packed.hex(":")
    except AddressValueError:
        return None
