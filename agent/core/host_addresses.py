"""Which addresses of a host are its own, and not its container networks'."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

_VIRTUAL = ("veth", "br-", "virbr", "flannel", "cali", "cni-", "weave", "podman", "vxlan", "tunl")
_BRIDGES = frozenset({"docker0", "docker_gwbridge", "cni0"})


def is_own_interface(name: str) -> bool:
    """Whether an interface of this name is the host's and not a container engine's."""
    return name not in _BRIDGES and not name.startswith(_VIRTUAL)


def local_addresses(fib_trie: str) -> Iterator[str]:
    """The local IPv4 addresses in the text of `/proc/<pid>/net/fib_trie`, each once."""
    address, told = "", set()
    for line in fib_trie.splitlines():
        words = line.split()
        if words[:1] == ["|--"] and len(words) == 2:
            address = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"] and address not in told:
            told.add(address)
            yield address


def own_addresses(addresses: Iterable[str], container_subnets: Sequence[str]) -> tuple[str, ...]:
    """`addresses` without loopback, link-local and those inside `container_subnets` (CIDR; odd ones count for none)."""
    subnets = [network for text in container_subnets if (network := _network(text)) is not None]
    own: list[str] = []
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if address.is_loopback or address.is_link_local or text in own:
            continue
        if not any(address.version == subnet.version and address in subnet for subnet in subnets):
            own.append(text)
    return tuple(own)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
