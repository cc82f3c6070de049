"""Health checks: configured at the server, made by the agent, told to the server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from certificates import self_signed
from fakes.http_server import Asked, saying, serving
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


@pytest.mark.protocol("health check options")
async def test_all_that_can_be_configured(served: Served, tmp_path: Path) -> None:
    """What the user wants sent is sent; a redirect is followed or is the answer; a certificate counts or does not."""
    found, moved = saying("200 OK"), saying("302 Found", "Location: /new")

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await (moved if asked.path.startswith("/old") else found)(asked, writer)

    async with serving(answer) as site, serving(found, self_signed(tmp_path)[0]) as safe:
        basic = '{"type": "basic", "username": "u", "password": "p"}'
        bearer = '{"type": "bearer", "token": "t"}'
        checks = [
            check("1" * 12, site.url("/head"), method="HEAD", headers_json='{"X-Role": "front"}'),
            check("2" * 12, site.url("/basic"), method="POST", auth_config_json=basic),
            check("3" * 12, site.url("/bearer"), auth_config_json=bearer),
            check("4" * 12, site.url("/old")),
            check("5" * 12, site.url("/old"), follow_redirects=False),
            check("6" * 12, safe.url(), verify_ssl=False),
            check("7" * 12, safe.url()),
        ]
        served.host.health_checks += checks
        served.hub.faults.cut(served.host)
        told = await asyncio.gather(
            *(served.told("health_check_result", each["container_id"]) for each in checks)
        )
    assert [each["status_code"] for each in told] == [200, 200, 200, 200, 302, 200, 0]
    assert [each["healthy"] for each in told] == [True, True, True, True, False, True, False]
    asked = {each.path: each for each in site.asked}
    assert {each.method for each in (asked["/head"], asked["/basic"])} == {"HEAD", "POST"}
    assert asked["/head"].headers["x-role"] == "front"
    assert asked["/basic"].headers["authorization"] == "Basic dTpw"
    assert asked["/bearer"].headers["authorization"] == "Bearer t"
    assert "/new" in asked
