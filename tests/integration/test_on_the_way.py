"""What stands between agent and server: certificates, proxies, web servers, slow lines."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from integration.agent_process import AgentProcess

from agent.clock import utcnow
from agent.hub.server import Hub

LOOPBACK = "127.0.0.1"
BEYOND = "agent-tests.invalid"
"""A name that only a proxy can reach: loopback itself is never asked for through one."""


@pytest.fixture
def settings(engine_url: str, tmp_path: Path) -> dict[str, str]:
    return {"DOCKER_HOST": engine_url, "DATA_PATH": str(tmp_path / "data"), "RECONNECT_MAX": "1s"}


@pytest.fixture
def own_ca(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate nobody has heard of, for loopback: the PEM file to trust it by, and the server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a DockMon of one's own")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(utcnow() - datetime.timedelta(days=1))
        .not_valid_after(utcnow() + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "ca.pem").write_bytes(public)
    (tmp_path / "server.pem").write_bytes(private + public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    return tmp_path / "ca.pem", context


class ConnectProxy:
    """An HTTP proxy that tunnels to one place, whatever is asked for, and remembers what that was.

    Args:
        answer: Its status line when it refuses; None: it tunnels.
    """

    def __init__(self, port: int, answer: str | None = None) -> None:
        self._port, self._answer = port, answer
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.splitlines()[0])
        if self._answer is not None:
            writer.write(f"HTTP/1.1 {self._answer}\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()
            return
        upstream, downstream = await asyncio.open_connection(LOOPBACK, self._port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_pour(reader, downstream))
            tasks.create_task(_pour(upstream, writer))


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


@contextlib.asynccontextmanager
async def listening(proxy: ConnectProxy) -> AsyncIterator[str]:
    server = await asyncio.start_server(proxy.serve, LOOPBACK, 0)
    try:
        yield f"http://user:secret-of-the-proxy@{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_a_private_ca(settings: dict[str, str], own_ca: tuple[Path, ssl.SSLContext]) -> None:
    """A server with a certificate of one's own is refused with the remedy, and trusted with `DOCKMON_CA_CERT`."""
    ca, context = own_ca
    async with Hub(poll_s=None, tls=context) as hub:
        settings |= {"DOCKMON_URL": hub.url, "REGISTRATION_TOKEN": hub.new_token()}
        async with AgentProcess(settings) as agent:
            line = await agent.says("registering -> backoff")
            assert "is not trusted" in line
            assert "DOCKMON_CA_CERT" in line
        async with AgentProcess(settings | {"DOCKMON_CA_CERT": str(ca)}) as agent:
            await agent.says("registering -> connected")


async def test_skipping_verification(
    settings: dict[str, str], own_ca: tuple[Path, ssl.SSLContext]
) -> None:
    """`INSECURE_SKIP_VERIFY` takes any certificate."""
    async with Hub(poll_s=None, tls=own_ca[1]) as hub:
        settings |= {"DOCKMON_URL": hub.url, "REGISTRATION_TOKEN": hub.new_token()}
        async with AgentProcess(settings | {"INSECURE_SKIP_VERIFY": "true"}) as agent:
            await agent.says("registering -> connected")


async def test_tls_to_a_plain_port(settings: dict[str, str]) -> None:
    """wss:// to a server that speaks ws:// is told as such."""
    async with Hub(poll_s=None) as hub:
        url = hub.url.replace("ws://", "wss://")
        settings |= {"DOCKMON_URL": url, "REGISTRATION_TOKEN": hub.new_token()}
        async with AgentProcess(settings) as agent:
            assert "does this port speak TLS?" in await agent.says("registering -> backoff")


async def test_a_web_server_that_is_none_of_ours(settings: dict[str, str]) -> None:
    """An HTTP status is told with the start of what the server said."""
    async with Hub(poll_s=None) as hub:
        hub.faults.refuse_upgrade(502, "<h1>Bad gateway</h1>  the backend is away")
        settings |= {"DOCKMON_URL": hub.url, "REGISTRATION_TOKEN": hub.new_token()}
        async with AgentProcess(settings) as agent:
            line = await agent.says("registering -> backoff")
            assert "502" in line
            assert "the backend is away" in line
            assert "does not reach the DockMon server" in line
            hub.faults.heal()
            await agent.says("registering -> connected")


async def test_through_a_proxy(settings: dict[str, str]) -> None:
    """The proxy of the environment is used for a name that is not loopback, and its password told to nobody."""
    async with Hub(poll_s=None) as hub:
        proxy = ConnectProxy(int(hub.url.rsplit(":", 1)[1]))
        async with listening(proxy) as url:
            settings |= {
                "DOCKMON_URL": f"ws://{BEYOND}:8080",
                "REGISTRATION_TOKEN": hub.new_token(),
                "http_proxy": url,
            }
            async with AgentProcess(settings) as agent:
                await agent.says("registering -> connected")
                assert proxy.asked == [f"CONNECT {BEYOND}:8080 HTTP/1.1"]
                assert "secret-of-the-proxy" not in "\n".join(agent.lines)


async def test_a_proxy_that_refuses(settings: dict[str, str]) -> None:
    """A refusal of the proxy's is told as the proxy's, with the remedy."""
    proxy = ConnectProxy(0, "407 Proxy Authentication Required")
    async with listening(proxy) as url:
        settings |= {
            "DOCKMON_URL": f"ws://{BEYOND}:8080",
            "REGISTRATION_TOKEN": "some-token-here",
            "http_proxy": url,
        }
        async with AgentProcess(settings) as agent:
            line = await agent.says("registering -> backoff")
            assert "proxy: the proxy answered 407" in line
            assert "secret-of-the-proxy" not in line


async def test_no_proxy_for_loopback(settings: dict[str, str]) -> None:
    """A server on this machine is never asked for through a proxy."""
    async with Hub(poll_s=None) as hub:
        settings |= {
            "DOCKMON_URL": hub.url,
            "REGISTRATION_TOKEN": hub.new_token(),
            "http_proxy": f"http://{LOOPBACK}:9",
        }
        async with AgentProcess(settings) as agent:
            await agent.says("registering -> connected")
