"""Networks as the server lists them, and the one kind that it creates."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from agent.core.usage import SHORT_ID, Json, Usage, created_text, text

BUILT_IN = frozenset({"bridge", "host", "none"})


class InvalidNetwork(Exception):
    """No engine could make such a network. The text says what is wrong with it."""


def network_list(networks: Iterable[Mapping[str, Any]], used: Usage) -> list[Json]:
    """`list_networks`: by name. `networks` are those of `GET /networks`."""
    shown = [network(each, used) for each in networks if text(each, "Id")]
    return sorted(shown, key=lambda each: str(each["name"]))


def network(given: Mapping[str, Any], used: Usage) -> Json:
    """One element of the list."""
    network_id = text(given, "Id")
    containers = used.networks.get(network_id, [])
    return {
        "id": network_id[:SHORT_ID],
        "name": text(given, "Name"),
        "driver": text(given, "Driver"),
        "scope": text(given, "Scope"),
        "created": created_text(given.get("Created")),
        "internal": given.get("Internal") is True,
        "subnet": _subnet(given),
        "containers": containers,
        "container_count": len(containers),
        "is_builtin": text(given, "Name") in BUILT_IN,
    }


def network_config(name: str, driver: str, *, subnet: str, gateway: str, internal: bool) -> Json:
    """The body of `POST /networks/create`. An empty `subnet` leaves addresses to the engine.

    Raises:
        InvalidNetwork: The addresses do not go together.
    """
    config: Json = {
        "Name": name,
        "Driver": driver,
        "Internal": internal,
        "CheckDuplicate": True,  # engines before API 1.44 make a second network of the name without it
    }
    if not subnet:
        if gateway:
            raise InvalidNetwork("a gateway needs a subnet: give both, or neither")
        return config
    try:
        range_ = ipaddress.ip_network(subnet)
    except ValueError:
        raise InvalidNetwork(
            f"subnet {subnet!r} is no network address: write it like 172.30.0.0/16"
        ) from None
    pool = {"Subnet": str(range_)}
    if gateway:
        pool["Gateway"] = _gateway(gateway, range_)
    if range_.version == 6:
        config["EnableIPv6"] = True
    return {**config, "IPAM": {"Driver": "default", "Config": [pool]}}


def _gateway(gateway: str, range_: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    try:
        address = ipaddress.ip_address(gateway)
    except ValueError:
        raise InvalidNetwork(f"gateway {gateway!r} is no IP address") from None
    if address not in range_:
        raise InvalidNetwork(f"gateway {address} is not in the subnet {range_}")
    return str(address)


def _subnet(given: Mapping[str, Any]) -> str:
    match given.get("IPAM"):
        case {"Config": [{"Subnet": str(subnet)}, *_]}:
            return subnet
    return ""
