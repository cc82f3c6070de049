"""Who the engine is, and what somebody in front of it forbids."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from agent.adapters.engine.wire import Call, Wire
from agent.ports import EngineError, EngineFacts, EngineRefused, Json

_ON_THE_LAN = ("macvlan", "ipvlan")
"""Networks whose subnet is not the containers' alone: the host has its own address in there."""

_PROBES = {
    "containers": "/containers/{nothing}/start",
    "exec": "/exec/{nothing}/resize?h=1&w=1",
    "images": "/images/{nothing}/tag?repo=x",
}
"""Requests that would change something, were there such a thing: an engine does not find it."""

_FORBIDDEN = 403


def facts(wire: Wire, call: Call) -> EngineFacts:
    """Asks for everything afresh: it is asked when an engine is new or back."""
    version = wire.negotiate(call)
    info = wire.object(call, "/info")
    try:
        networks = wire.objects(call, "/networks")
    except EngineRefused:  # a proxy in front of the socket may forbid it
        networks = []
    engine_id = _text(info, "ID")
    if not engine_id:
        raise EngineRefused("The engine does not tell its ID, by which the server knows it", 200)
    components = version.get("Components") or []
    return EngineFacts(
        engine_id=engine_id,
        name=_text(info, "Name"),
        version=_text(version, "Version"),
        api_version=_text(version, "ApiVersion"),
        operating_system=_text(info, "OperatingSystem"),
        os_type=_text(info, "OSType"),
        kernel_version=_text(info, "KernelVersion"),
        bridge_created_at=next(
            (_text(each, "Created") for each in networks if each.get("Name") == "bridge"), ""
        ),
        total_memory_bytes=_positive(info, "MemTotal"),
        num_cpus=_positive(info, "NCPU"),
        is_podman=any("podman" in str(component).lower() for component in components),
        subnets=tuple(_subnets(networks)),
        forbids=_forbidden(wire, call),
    )


def _forbidden(wire: Wire, call: Call) -> frozenset[str]:
    nothing = secrets.token_hex(32)
    return frozenset(
        kind
        for kind, path in _PROBES.items()
        if _status(wire, call, path.format(nothing=nothing)) == _FORBIDDEN
    )


def _status(wire: Wire, call: Call, path: str) -> int:
    """The status of an order's answer; 0 if it had no bad one, or none at all."""
    try:
        wire.order(call, path)
    except EngineRefused as refusal:
        return refusal.status
    except EngineError:  # whatever it is, an order that is meant will run into it and say so
        pass
    return 0


def _subnets(networks: list[Json]) -> Iterator[str]:
    for network in networks:
        if network.get("Driver") not in _ON_THE_LAN:
            for config in (network.get("IPAM") or {}).get("Config") or ():
                if subnet := _text(config, "Subnet"):
                    yield subnet


def _text(answer: Json, key: str) -> str:
    value = answer.get(key)
    return value if isinstance(value, str) else ""


def _positive(answer: Json, key: str) -> int | None:
    value = answer.get(key)
    return value if isinstance(value, int) and value > 0 else None
