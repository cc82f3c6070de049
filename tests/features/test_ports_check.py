"""Whether ports are free."""

from __future__ import annotations

import pytest
from fakes.engine import FakeEngine
from features.asking import Asking

from agent.features.ports_check import validate_ports
from agent.ports import CommandFailed


class Listing(FakeEngine):
    """One container that has published a port."""

    async def containers(self, *, deadline_s: float) -> list[dict[str, object]]:
        published = {"PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}
        return [{"Id": "a" * 64, "Names": ["/web"], "Ports": [published]}]


async def test_free_ports() -> None:
    """Another number, or the same number of another protocol, is free."""
    asking = Asking([validate_ports(Listing())])
    assert await asking.ask("validate_ports", ports={"80/tcp": 8081, "80/udp": 8080}) == {}


async def test_a_taken_port() -> None:
    """The reply says which one, and who has it."""
    asking = Asking([validate_ports(Listing())])
    with pytest.raises(CommandFailed, match="8080/tcp is taken by web"):
        await asking.ask("validate_ports", ports={"90/tcp": "8080"})


async def test_what_is_no_port() -> None:
    """It is refused by the container port it stands under."""
    asking = Asking([validate_ports(Listing())])
    with pytest.raises(CommandFailed, match="80/tcp: not a port"):
        await asking.ask("validate_ports", ports={"80/tcp": "http"})
