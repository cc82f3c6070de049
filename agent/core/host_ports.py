"""Which ports of the host containers have, and which a new one asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

PORTS = range(1, 65536)

Port = tuple[int, str]
"""(number, protocol)"""


class InvalidPort(Exception):
    """No container could have it. The text says what is wrong with it."""


def asked_ports(ports: Mapping[str, Any]) -> list[Port]:
    """What `{"80/tcp": 8080}` asks of the host. In the SDK a port is a number, a text, `[address, port]` or a list.

    None and 0 leave the choice to the engine, and ask for nothing in particular.

    Raises:
        InvalidPort: A value is none of that.
    """
    return [
        (number, container_port.partition("/")[2] or "tcp")
        for container_port, given in ports.items()
        for number in _numbers(container_port, given)
        if number
    ]


def taken_ports(containers: Iterable[Mapping[str, Any]]) -> dict[Port, str]:
    """Who has which port of the host now, by `GET /containers/json`."""
    taken: dict[Port, str] = {}
    for container in containers:
        ports, names = container.get("Ports"), container.get("Names")
        name = str(names[0]).removeprefix("/") if isinstance(names, list) and names else "unknown"
        for port in ports if isinstance(ports, list) else ():
            match port:
                case {"PublicPort": int(number), "Type": str(protocol)}:
                    taken[number, protocol] = name
    return taken


def _numbers(container_port: str, given: Any) -> list[int]:
    match given:
        case None:
            return []
        case bool():
            pass
        case int() if given == 0 or given in PORTS:
            return [given]
        case str() if given.isascii() and given.isdigit() and len(given) <= 5:
            return _numbers(container_port, int(given))
        case [str(address), int() | str() as port] if not address.isdigit():
            return _numbers(container_port, port)
        case [*several]:
            return [number for each in several for number in _numbers(container_port, each)]
    raise InvalidPort(f"{container_port}: not a port of a host")
