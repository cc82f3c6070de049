"""The networks of the engine in memory: who is in them, and under which address."""

from __future__ import annotations

import copy
import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from fakes.box import Box
from fakes.event_ring import EventRing

from agent.clock import utcnow
from agent.core.rfc3339 import rfc3339
from agent.ports import Conflict, EngineRefused, Json, NotFound

PREDEFINED = ("bridge", "host", "none")
NAMESPACES = ("host", "none")
"""Networks without addresses: nobody joins them later."""

_RUNTIME = {
    "NetworkID": "",
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "MacAddress": "",
}
"""What an endpoint has only while its container runs."""


@dataclass(slots=True)
class Network:
    """`members` are the addresses by container ID; `request` is what it was created from."""

    id: str
    name: str
    driver: str
    created_at: str
    subnet: ipaddress.IPv4Network | None
    gateway: str = ""
    request: Json = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)


class NetworkStore:
    def __init__(self, ring: EventRing, boxes: Mapping[str, Box]) -> None:
        self.networks: dict[str, Network] = {}
        self._ring, self._boxes = ring, boxes
        self._count = 0
        self._add("bridge", "bridge", {})
        self._add("host", "host", {})
        self._add("none", "null", {})

    def find(self, reference: str) -> Network:
        if network := self._maybe(reference):
            return network
        raise _not_found(reference)

    def create(self, config: Json) -> str:
        name = str(config["Name"])
        if name in PREDEFINED:
            raise EngineRefused(f"operation is not permitted on predefined {name} network ", 403)
        if any(network.name == name for network in self.networks.values()):
            raise Conflict(f"network with name {name} already exists", 409)
        network = self._add(name, config.get("Driver") or "bridge", copy.deepcopy(config))
        self._tell("create", network)
        return network.id

    def remove(self, reference: str) -> None:
        network = self.find(reference)
        if network.name in PREDEFINED:
            raise EngineRefused(
                f"{network.name} is a pre-defined network and cannot be removed", 403
            )
        if network.members:
            raise EngineRefused(
                f"error while removing network: network {network.name} id {network.id} "
                "has active endpoints",
                403,
            )
        self._delete(network)

    def prune(self) -> Json:
        unused = [
            network
            for network in self.networks.values()
            if not network.members and network.name not in PREDEFINED
        ]
        for network in unused:
            self._delete(network)
        self._ring.tell("network", "prune", "", {"reclaimed": "0"})
        return {"NetworksDeleted": [network.name for network in unused] or None}

    # Containers in them

    def settle(self, box: Box, requested: Mapping[str, Json]) -> None:
        """A new container's endpoints: those its creator named, else the one of its network mode."""
        mode = box.network_mode
        if mode.startswith("container:"):
            return
        name = "bridge" if mode == "default" else mode
        for network, settings in (requested or {name: {}}).items():
            box.endpoints[network] = _endpoint(settings)

    def connect(self, reference: str, box: Box, settings: Json) -> str:
        """What `POST /networks/ID/connect` does. Returns the network's name: any will do until the container runs."""
        network = self._maybe(reference)
        if network is None:
            if box.running:
                raise _not_found(reference)
            box.endpoints[reference] = _endpoint(settings)
            return reference
        self._refuse_connection(network, box, settings)
        endpoint = _endpoint(settings)
        if box.running:
            if network.name in box.endpoints:
                raise EngineRefused(
                    f"endpoint with name {box.name} already exists in network {network.name}", 403
                )
            self._join(network, box, endpoint)
        box.endpoints[network.name] = endpoint
        return network.name

    def disconnect(self, reference: str, box: Box, *, force: bool) -> str:
        """What `POST /networks/ID/disconnect` does. Returns the network's name."""
        network = self._maybe(reference)
        if network is None and box.running and not force:
            raise _not_found(reference)
        name = network.name if network else reference
        if name not in box.endpoints:
            raise EngineRefused(f"container {box.id} is not connected to network {name}", 500)
        if network:
            self._leave(network, box)
            self._tell("disconnect", network, container=box.id)  # so dockerd does: a second one
        del box.endpoints[name]
        return name

    def join_all(self, box: Box) -> None:
        """At a container's start. What fails leaves it in none."""
        try:
            for name, endpoint in box.endpoints.items():
                self._join(self.find(name), box, endpoint)
        except EngineRefused:
            self.leave_all(box)
            raise

    def leave_all(self, box: Box) -> None:
        for name in box.endpoints:
            if network := self._maybe(name):
                self._leave(network, box)

    def _refuse_connection(self, network: Network, box: Box, settings: Json) -> None:
        if box.network_mode.startswith("container:"):
            raise EngineRefused(
                "container sharing network namespace with another container or host cannot be "
                "connected to any other network",
                400,
            )
        if network.name == "host" or box.network_mode == "host":
            raise EngineRefused(
                "container cannot be disconnected from host network or connected to host network",
                400,
            )
        if network.name == "none" or box.network_mode == "none":
            raise EngineRefused(
                "container cannot be connected to multiple networks with one of the networks in "
                "private (none) mode",
                400,
            )
        if network.name == "bridge" and _static(settings):
            raise EngineRefused(
                "user specified IP address is supported on user defined networks only", 400
            )

    def _join(self, network: Network, box: Box, endpoint: Json) -> None:
        address = self._address(network, _static(endpoint))
        network.members[box.id] = address
        endpoint["NetworkID"] = network.id
        endpoint["EndpointID"] = hashlib.sha256(f"{network.id} {box.id}".encode()).hexdigest()
        if network.subnet:
            endpoint["Gateway"], endpoint["IPAddress"] = network.gateway, address
            endpoint["IPPrefixLen"] = network.subnet.prefixlen
            octets = ipaddress.IPv4Address(address).packed
            endpoint["MacAddress"] = box.config.get("MacAddress") or ":".join(
                ("02", "42", *(f"{octet:02x}" for octet in octets))
            )
            endpoint["GlobalIPv6Address"] = (endpoint["IPAMConfig"] or {}).get("IPv6Address") or ""
        if network.name not in PREDEFINED:
            aliases = endpoint["Aliases"] or []
            endpoint["Aliases"] = [*aliases, *({box.id[:12]} - set(aliases))]
        self._tell("connect", network, container=box.id)

    def _leave(self, network: Network, box: Box) -> None:
        if network.members.pop(box.id, None) is not None:
            box.endpoints[network.name].update(_RUNTIME)
            self._tell("disconnect", network, container=box.id)

    def _address(self, network: Network, wanted: str) -> str:
        if network.subnet is None:
            return ""
        taken = {network.gateway, *network.members.values()}
        if wanted:
            if ipaddress.IPv4Address(wanted) not in network.subnet:
                raise EngineRefused(
                    f"Invalid address {wanted}: It does not belong to any of this network's "
                    "subnets",
                    500,
                )
            if wanted in taken:
                raise EngineRefused("Address already in use", 403)
            return wanted
        return next(str(host) for host in network.subnet.hosts() if str(host) not in taken)

    # What the engine answers

    def listed(self) -> list[Json]:
        return [self._shape(network, {}) for network in self.networks.values()]

    def inspected(self, reference: str) -> Json:
        network = self.find(reference)
        members = {
            container_id: self._member(network, container_id) for container_id in network.members
        }
        return self._shape(network, members)

    def _member(self, network: Network, container_id: str) -> Json:
        box = self._boxes[container_id]
        endpoint = box.endpoints[network.name]
        address = endpoint["IPAddress"]
        return {
            "Name": box.name,
            "EndpointID": endpoint["EndpointID"],
            "MacAddress": endpoint["MacAddress"],
            "IPv4Address": f"{address}/{endpoint['IPPrefixLen']}" if address else "",
            "IPv6Address": "",
        }

    def _shape(self, network: Network, members: Json) -> Json:
        config = []
        if network.subnet:
            config = [{"Subnet": str(network.subnet), "Gateway": network.gateway}]
        return {
            "Name": network.name,
            "Id": network.id,
            "Created": network.created_at,
            "Scope": "local",
            "Driver": network.driver,
            "EnableIPv6": False,
            "IPAM": {"Driver": "default", "Options": None, "Config": config},
            "Internal": bool(network.request.get("Internal")),
            "Attachable": False,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": members,
            "Options": network.request.get("Options") or {},
            "Labels": network.request.get("Labels") or {},
        }

    def _maybe(self, reference: str) -> Network | None:
        for network in self.networks.values():
            if reference in (network.id, network.name):
                return network
        for network in self.networks.values():
            if len(reference) >= 12 and network.id.startswith(reference):
                return network
        return None

    def _add(self, name: str, driver: str, request: Json) -> Network:
        subnet, gateway = None, ""
        if name not in NAMESPACES:
            subnet, gateway = self._subnet(request)
        network_id = hashlib.sha256(f"network {self._count} {name}".encode()).hexdigest()
        self._count += 1
        network = Network(network_id, name, driver, rfc3339(utcnow()), subnet, gateway, request)
        self.networks[network_id] = network
        return network

    def _subnet(self, request: Json) -> tuple[ipaddress.IPv4Network, str]:
        """The one that was asked for, else the next of dockerd's own."""
        for config in (request.get("IPAM") or {}).get("Config") or ():
            try:
                wanted = ipaddress.IPv4Network(config["Subnet"])
            except ValueError as error:
                raise EngineRefused(
                    f"Invalid subnet {config['Subnet']} : invalid CIDR address: {config['Subnet']}",
                    500,
                ) from error
            if any(other.overlaps(wanted) for other in self._subnets()):
                raise EngineRefused("Pool overlaps with other one on this address space", 403)
            return wanted, config.get("Gateway") or str(next(wanted.hosts()))
        free = (ipaddress.IPv4Network(f"172.{second}.0.0/16") for second in range(17, 32))
        subnet = next(net for net in free if not any(map(net.overlaps, self._subnets())))
        return subnet, str(next(subnet.hosts()))

    def _subnets(self) -> list[ipaddress.IPv4Network]:
        return [network.subnet for network in self.networks.values() if network.subnet]

    def _delete(self, network: Network) -> None:
        del self.networks[network.id]
        self._tell("destroy", network)

    def _tell(self, action: str, network: Network, **attributes: str) -> None:
        told = {"name": network.name, "type": network.driver, **attributes}
        self._ring.tell("network", action, network.id, told)


def _endpoint(settings: Mapping[str, object]) -> Json:
    asked = copy.deepcopy(dict(settings))
    return (
        {"IPAMConfig": None, "Links": None, "Aliases": None, "DriverOpts": None} | asked | _RUNTIME
    )


def _static(settings: Json) -> str:
    return str((settings.get("IPAMConfig") or {}).get("IPv4Address") or "")


def _not_found(reference: str) -> NotFound:
    return NotFound(f"network {reference} not found", 404)
