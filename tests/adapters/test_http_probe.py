"""HTTP checks against small servers on loopback: nothing that a server does holds one up or makes one raise."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from certificates import self_signed
from fakes.http_server import Answer, Asked, saying, serving

from agent.adapters.http_errors import explain
from agent.adapters.http_probe import LazyHttpProbe
from agent.adapters.httpx_probe import MAX_BODY_BYTES
from agent.core.health_checks import HealthCheck, health_check
from agent.core.health_results import Answered, Outcome, Trouble, Unanswered, result

pytestmark = pytest.mark.real_time

AT = datetime(2031, 5, 4, tzinfo=UTC)
OK = saying("200 OK", body=b"fine")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def probe() -> AsyncIterator[LazyHttpProbe]:
    probe = LazyHttpProbe()
    yield probe
    await probe.rest()


def check(url: str, **more: Any) -> HealthCheck:
    return health_check({"container_id": "9ab3c1d2e4f5", "url": url, "timeout_seconds": 5} | more)


def told(asked: HealthCheck, outcome: Outcome) -> str:
    """What the server would show, "" for health."""
    message: str = result(asked, outcome, AT).get("error_message", "")
    return message


def by_path(**answers: Answer) -> Answer:
    """`/` is `root`."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await answers[asked.path.strip("/") or "root"](asked, writer)

    return answer


# --- Asking


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_an_answer(probe: LazyHttpProbe, method: str) -> None:
    """Its status, and how long it took."""
    answer = OK if method != "HEAD" else saying("200 OK")
    async with serving(answer) as server:
        outcome = await probe.probe(check(server.url("/health?deep"), method=method))
    assert isinstance(outcome, Answered)
    assert outcome.status_code == 200
    assert 0 <= outcome.after_ms < 5000
    assert [(asked.method, asked.path) for asked in server.asked] == [(method, "/health?deep")]


async def test_what_is_sent(probe: LazyHttpProbe) -> None:
    """The headers of the check, and of ours those it has not got."""
    headers = '{"User-Agent": "mine", "X-Key": "schlüssel"}'
    auth = '{"type": "bearer", "token": "t0k"}'
    async with serving(OK) as server:
        await probe.probe(check(server.url(), headers_json=headers, auth_config_json=auth))
    sent = server.asked[0].headers
    assert sent.pop("x-key").encode("latin-1").decode() == "schlüssel"
    assert sent == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "mine",
        "authorization": "Bearer t0k",
        "accept": "*/*",
    }


async def test_cookies(probe: LazyHttpProbe) -> None:
    """They are forgotten: what one check was given is not sent by another."""
    async with serving(saying("200 OK", "Set-Cookie: session=1")) as server:
        await probe.probe(check(server.url()))
        await probe.probe(check(server.url()))
    assert "cookie" not in server.asked[1].headers


async def test_credentials_of_the_user_we_run_as(
    probe: LazyHttpProbe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not those of the check."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with serving(OK) as server:
        await probe.probe(check(server.url()))
    assert "authorization" not in server.asked[0].headers


# --- Redirects


async def test_redirects_are_followed(probe: LazyHttpProbe) -> None:
    """The last answer counts."""
    pages = by_path(
        root=saying("302 Found", "Location: /there"),
        there=saying("301 Moved Permanently", "Location: last"),
        last=saying("503 Service Unavailable"),
    )
    async with serving(pages) as server:
        outcome = await probe.probe(check(server.url(), method="POST"))
    assert isinstance(outcome, Answered)
    assert outcome.status_code == 503
    assert [(asked.method, asked.path) for asked in server.asked] == [
        ("POST", "/"),
        ("GET", "/there"),
        ("GET", "/last"),
    ]


@pytest.mark.parametrize("location", ["/there", "http://[", "ftp://x/"])
async def test_a_redirect_as_an_answer(probe: LazyHttpProbe, location: str) -> None:
    """Where it leads does not matter if it is not to be followed."""
    async with serving(saying("302 Found", f"Location: {location}")) as server:
        outcome = await probe.probe(check(server.url(), follow_redirects=False))
    assert isinstance(outcome, Answered)
    assert outcome.status_code == 302
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("/", "Connection failed: too many redirects"),
        ("ftp://web/", "Connection failed: redirected to what is no HTTP URL"),
        ("http://[", "Connection failed: redirected to what is no HTTP URL"),
    ],
)
async def test_redirects_that_lead_nowhere(probe: LazyHttpProbe, location: str, error: str) -> None:
    """They end, and are told."""
    async with serving(saying("302 Found", f"Location: {location}")) as server:
        asked = check(server.url())
        assert told(asked, await probe.probe(asked)) == error


async def test_credentials_stay_with_their_host(probe: LazyHttpProbe) -> None:
    """Another one, though it be asked next, is told nothing of what was configured; and nor is it on the way back."""
    async with serving(OK) as home, serving(OK) as away:
        home.answer = by_path(
            root=saying("302 Found", "Location: /same"),
            same=saying("302 Found", f"Location: {away.url('/away', host='localhost')}"),
            back=OK,
        )
        away.answer = saying("302 Found", f"Location: {home.url('/back')}")
        await probe.probe(
            check(home.url().replace("//", "//me:pass@"), headers_json='{"X-Key": "k"}')
        )
    asked = {request.path: request.headers for request in (*home.asked, *away.asked)}
    assert [
        path for path, headers in asked.items() if "authorization" in headers or "x-key" in headers
    ] == ["/", "/same"]
    assert asked.keys() == {"/", "/same", "/away", "/back"}


# --- Connections


async def test_a_connection_is_used_again(probe: LazyHttpProbe) -> None:
    """As long as the body was read to its end."""
    async with serving(OK) as server:
        for _ in range(3):
            await probe.probe(check(server.url()))
    assert [asked.connection for asked in server.asked] == [1, 1, 1]


async def test_a_kept_connection_that_is_closed_in_the_moment_of_its_use(
    probe: LazyHttpProbe,
) -> None:
    """Another one is opened: that says nothing about the container's health. A POST is not sent twice."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        is_first = [other.connection for other in server.asked].count(asked.connection) == 1
        if is_first:
            await OK(asked, writer)
        else:
            writer.close()

    async with serving(answer) as server:
        outcomes = [await probe.probe(check(server.url())) for _ in range(2)]
        refused = await probe.probe(check(server.url(), method="POST"))
    assert all(isinstance(outcome, Answered) for outcome in outcomes)
    assert isinstance(refused, Unanswered)
    assert [asked.connection for asked in server.asked] == [1, 1, 2, 2]


async def test_rest(probe: LazyHttpProbe) -> None:
    """It closes what is kept, and the next probe works all the same."""
    async with serving(OK) as server:
        await probe.probe(check(server.url()))
        await probe.rest()
        assert isinstance(await probe.probe(check(server.url())), Answered)
    assert [asked.connection for asked in server.asked] == [1, 2]


async def test_rest_before_the_first_probe() -> None:
    """There is nothing to close."""
    await LazyHttpProbe().rest()


# --- Bodies


async def test_an_endless_body(probe: LazyHttpProbe) -> None:
    """The status counts; little of the body is read, and the connection is closed."""
    sent_bytes = 0

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal sent_bytes
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 4096)
            await writer.drain()
            sent_bytes += 4096

    async with serving(answer) as server:
        outcome = await probe.probe(check(server.url()))
        async with asyncio.timeout(5):
            while not server.closed:
                await asyncio.sleep(0.01)
    assert isinstance(outcome, Answered)
    assert sent_bytes >= MAX_BODY_BYTES


async def test_a_slow_body(probe: LazyHttpProbe) -> None:
    """The status counts, and its time; the rest is waited for a second at most."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
        await writer.drain()
        await asyncio.Event().wait()

    async with serving(answer) as server:
        async with asyncio.timeout(4):
            outcome = await probe.probe(check(server.url()))
    assert isinstance(outcome, Answered)
    assert outcome.after_ms < 1000


# --- What goes wrong


async def test_no_answer(probe: LazyHttpProbe) -> None:
    """The deadline is for the whole: redirects count, and so does a server that says a byte now and then."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.path == "/":
            await saying("302 Found", "Location: /slow")(asked, writer)
            return
        for byte in b"HTTP/1.1 200 OK" * 100:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.3)

    async with serving(answer) as server:
        asked = check(server.url())
        outcome = await probe.probe(asked)
    assert told(asked, outcome) == "Timeout after 5s"
    assert 4900 <= outcome.after_ms < 8000


async def test_nobody_listens(probe: LazyHttpProbe) -> None:
    """On one address or on several."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for host in ("127.0.0.1", "localhost"):
        asked = check(f"http://{host}:{port}/")
        assert told(asked, await probe.probe(asked)) == "Connection refused"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64 + ".invalid"])
async def test_no_such_host(probe: LazyHttpProbe, host: str) -> None:
    """Whether it is looked up or cannot even be."""
    asked = check(f"http://{host}/")
    assert told(asked, await probe.probe(asked)) in (
        "Host not found",
        "Connection failed: the URL cannot be used",
    )


@pytest.mark.parametrize(
    "said",
    [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", b"\0" * 200_000],
)
async def test_what_is_no_http(probe: LazyHttpProbe, said: bytes) -> None:
    """Whatever speaks there, it does not speak HTTP."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with serving(answer) as server:
        asked = check(server.url())
        assert told(asked, await probe.probe(asked)).startswith("Connection failed: ")


# --- TLS


@pytest.fixture
def vouched_for_by_itself(tmp_path: Path) -> ssl.SSLContext:
    return self_signed(tmp_path)[0]


async def test_a_certificate_nobody_vouches_for(
    probe: LazyHttpProbe, vouched_for_by_itself: ssl.SSLContext
) -> None:
    """It is refused, unless the check says that it does not matter; and that holds for this check only."""
    async with serving(OK, vouched_for_by_itself) as server:
        careless, careful = check(server.url(), verify_ssl=False), check(server.url())
        assert told(careless, await probe.probe(careless)) == ""
        assert told(careful, await probe.probe(careful)) == (
            "Connection failed: the certificate is not trusted: self-signed certificate"
        )
        assert told(careless, await probe.probe(careless)) == ""


async def test_no_tls(probe: LazyHttpProbe) -> None:
    """A plain server behind `https://`."""

    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as plain:
        port = plain.sockets[0].getsockname()[1]
        asked = check(f"https://127.0.0.1:{port}/")
        assert told(asked, await probe.probe(asked)) == (
            "Connection failed: no TLS: wrong version number"
        )


# --- Proxies


async def test_the_proxy_of_the_environment(
    probe: LazyHttpProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is used for what is not on this machine, and never for what the environment excepts."""
    async with serving(saying("204 No Content")) as proxy, serving(OK) as server:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "excepted.invalid")
        assert await _status(probe, "http://10.255.255.1/x") == 204
        assert await _status(probe, server.url()) == 200
        assert await _status(probe, server.url(host="localhost")) == 200
        assert await _status(probe, "http://excepted.invalid/") == 0
    assert [asked.path for asked in proxy.asked] == ["http://10.255.255.1/x"]


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "nonsense://x"])
async def test_a_proxy_that_cannot_be_used(
    probe: LazyHttpProbe, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """It is told, and not gone round."""
    monkeypatch.setenv("all_proxy", proxy)
    assert await _status(probe, "http://10.255.255.1/") == 0


async def _status(probe: LazyHttpProbe, url: str) -> int:
    outcome = await probe.probe(check(url))
    return outcome.status_code if isinstance(outcome, Answered) else 0


# --- Texts


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "explained"),
    [
        (TimeoutError(), (Trouble.TIMEOUT, "")),
        (httpx.ConnectError("http://me:pass@web"), (Trouble.OTHER, "ConnectError")),
        (
            caused(httpx.ConnectError("x"), OSError(113, "No route to host")),
            (Trouble.OTHER, "No route to host"),
        ),
        (
            caused(httpx.ConnectError("x"), socket.gaierror(-3, "Temporary failure")),
            (Trouble.HOST_NOT_FOUND, ""),
        ),
        (
            caused(
                httpx.ConnectError("x"),
                ExceptionGroup("", [OSError(101, "Unreachable"), ConnectionRefusedError(111, "x")]),
            ),
            (Trouble.REFUSED, ""),
        ),
        (
            httpx.LocalProtocolError("Illegal header value b'secret'"),
            (Trouble.OTHER, "the configured headers cannot be sent"),
        ),
        (
            httpx.ProxyError("407 for me:pass"),
            (Trouble.OTHER, "the proxy does not let us through"),
        ),
        (ssl.SSLError(1, "x"), (Trouble.OTHER, "no TLS: it broke off")),
        (KeyError("secret"), (Trouble.OTHER, "KeyError")),
    ],
)
def test_errors_in_words(error: Exception, explained: tuple[Trouble, str]) -> None:
    """By what lies at their root; the libraries' own texts may hold what was configured, and are not repeated."""
    assert explain(error) == explained


# --- Memory


def test_an_agent_without_checks_does_not_load_httpx() -> None:
    """It takes megabytes."""
    lines = "import sys, agent.adapters.http_probe; sys.exit('httpx' in sys.modules)"
    subprocess.run([sys.executable, "-c", lines], check=True)
