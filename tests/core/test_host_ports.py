"""Which ports are asked for, and which are taken."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.host_ports import InvalidPort, asked_ports, taken_ports


@pytest.mark.parametrize(
    ("ports", "asked"),
    [
        ({}, []),
        ({"80/tcp": 8080}, [(8080, "tcp")]),
        ({"80": 8080}, [(8080, "tcp")]),
        ({"53/udp": "5353"}, [(5353, "udp")]),
        ({"80/tcp": ["127.0.0.1", 8080]}, [(8080, "tcp")]),
        ({"80/tcp": ["127.0.0.1", "8080"]}, [(8080, "tcp")]),
        ({"80/tcp": [8080, 8081]}, [(8080, "tcp"), (8081, "tcp")]),
        ({"80/tcp": None, "81/tcp": 0, "82/tcp": []}, []),
    ],
)
def test_what_is_asked_for(ports: dict[str, Any], asked: list[tuple[int, str]]) -> None:
    """As the SDK writes ports; where the engine is to choose, nothing in particular is asked for."""
    assert asked_ports(ports) == asked


@pytest.mark.parametrize(
    "odd", [True, -1, 65536, "http", "70000", 8080.0, {}, "٣", "9" * 5000, [[8080, {}]]]
)
def test_what_is_no_port(odd: object) -> None:
    """It is refused by the container port it stands under."""
    with pytest.raises(InvalidPort, match="80/tcp: not a port"):
        asked_ports({"80/tcp": odd})


def test_what_is_taken() -> None:
    """Published ports of every container; odd entries are passed over."""
    containers: list[dict[str, Any]] = [
        {"Names": ["/web"], "Ports": [{"PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]},
        {"Names": None, "Ports": [{"PublicPort": 53, "Type": "udp"}, {"PrivatePort": 1}, None]},
        {"Ports": None},
    ]
    assert taken_ports(containers) == {(8080, "tcp"): "web", (53, "udp"): "unknown"}
