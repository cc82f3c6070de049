"""Health checks: configured at the server, made by the agent, told to the server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from integration.served import Served, serve

from agent.hub.server import Hub

WEB, DB, JOB = "a" * 12, "b" * 12, "c" * 12


class Site:
    """A web server on loopback that says what a test wants."""

    def __init__(self) -> None:
        self.status = 200
        self.url = ""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Site]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with server:
            yield self

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % self.status)
        writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Site().open() as site:
        yield site


def check(container_id: str, url: str, **change: Any) -> dict[str, Any]:
    """As the server writes one down."""
    return {
        "container_id": container_id,
        "host_id": "some-host",
        "enabled": True,
        "url": url,
        "method": "GET",
        "expected_status_codes": "200-299",
        "timeout_seconds": 5,
        "check_interval_seconds": 10,
        "follow_redirects": True,
        "verify_ssl": True,
        "headers_json": None,
        "auth_config_json": None,
        **change,
    }


@pytest.mark.protocol("health_check_configs_sync", "health_check_result")
async def test_what_a_check_finds(hub: Hub, engine_url: str, tmp_path: Path, site: Site) -> None:
    """Checks come with the connect; a good answer, a bad one and none at all are told as the server reads them."""
    async with serve(hub, engine_url, tmp_path) as served:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            refused = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
            served.host.health_checks += [
                check(WEB, site.url),
                check(DB, site.url, expected_status_codes="404"),
                check(JOB, refused),
            ]
            hub.faults.cut(served.host)
            told = await asyncio.gather(
                *(served.told("health_check_result", each) for each in (WEB, DB, JOB))
            )
    assert [(each["healthy"], each["status_code"]) for each in told] == [
        (True, 200),
        (False, 200),
        (False, 0),
    ]
    assert [each.get("error_message") for each in told] == [
        None,
        "Status 200",
        "Connection refused",
    ]
    assert hub.checks.of(served.host.id, WEB)[-1].result.healthy is True


@pytest.mark.protocol("health_check_config", "health_check_config_remove")
async def test_checks_that_come_and_go(served: Served, site: Site) -> None:
    """One more while connected, and one less: after that nothing is told of it any more."""
    served.host.health_checks += [check(WEB, site.url), check(DB, site.url)]
    for each in served.host.health_checks:
        await served.hub.send(served.host.id, {"type": "health_check_config", "payload": each})
    await asyncio.gather(*(served.told("health_check_result", each) for each in (WEB, DB)))
    await served.hub.send(
        served.host.id,
        {"type": "health_check_config_remove", "payload": {"container_id": WEB}},
    )
    await served.told("health_check_result", DB)
    before = len(served.hub.checks.of(served.host.id, WEB))
    await served.told("health_check_result", DB)
    assert len(served.hub.checks.of(served.host.id, WEB)) == before
