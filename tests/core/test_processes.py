"""A container's first process, as an inspection tells."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.processes import has_network, network_owner, process
from agent.core.roster import Process

WEB = "a" * 64


def inspected(mode: str = "bridge", pid: object = 7, **config: Any) -> dict[str, Any]:
    return {"State": {"Pid": pid}, "HostConfig": {"NetworkMode": mode}, "Config": config}


@pytest.mark.parametrize(
    ("mode", "counts"),
    [
        ("bridge", True),
        ("default", True),
        ("paper_default", True),
        (f"container:{WEB}", True),
        ("host", False),
        ("none", False),
    ],
)
def test_networks(mode: str, counts: bool) -> None:
    """The engine counts nothing of the host's; of another container's it counts all for both."""
    assert process(inspected(mode)) == Process(7, counts)


def test_a_network_switched_off() -> None:
    """There is nothing to count."""
    assert not has_network(inspected(NetworkDisabled=True))


def test_whose_network_it_is() -> None:
    """Another container's, if it was said so."""
    assert network_owner(inspected(f"container:{WEB}")) == WEB
    assert network_owner(inspected("bridge")) is None
    assert network_owner(inspected("container:")) is None
    assert network_owner({}) is None


@pytest.mark.parametrize("odd", [{}, {"State": {}}, {"State": {"Pid": None}}, inspected(pid=0)])
def test_one_that_does_not_run(odd: dict[str, Any]) -> None:
    """It has none."""
    assert process(odd) is None
