"""Each way a dial can fail is one line that says what was seen and what to do."""

from __future__ import annotations

import socket
import ssl

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import (
    InvalidHeader,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)
from websockets.http11 import Response

from agent.adapters.dial_errors import explain
from agent.core.failures import FailureKind

WHERE = "dockmon.example:443"


def response(status: int, phrase: str, body: bytes = b"") -> Response:
    return Response(status, phrase, Headers(), body)


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


TWO_ADDRESSES = (
    "Multiple exceptions: [Errno 111] Connect call failed ('::1', 443, 0, 0), "
    "[Errno 111] Connect call failed ('127.0.0.1', 443)"
)
TWO_REASONS = (
    "Multiple exceptions: [Errno 101] Connect call failed ('::1', 443, 0, 0), "
    "[Errno 111] Connect call failed ('127.0.0.1', 443)"
)


@pytest.mark.parametrize(
    ("error", "kind", "text", "advice"),
    [
        (TimeoutError(), FailureKind.TIMEOUT, "dockmon.example:443 did not answer in time", "firewall"),
        (socket.gaierror(-2, "Name or service not known"), FailureKind.DNS,
         "dockmon.example:443 cannot be resolved: Name or service not known", "name servers"),
        (UnicodeError("label empty or too long"), FailureKind.DNS,
         "dockmon.example:443 is not a host name", "DOCKMON_URL"),
        (untrusted(), FailureKind.TLS,
         "the certificate of dockmon.example:443 is not trusted: self-signed certificate", "DOCKMON_CA_CERT"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), FailureKind.TLS,
         "no TLS with dockmon.example:443: ", "ws://"),
        (InvalidProxyStatus(response(407, "Proxy Authentication Required")), FailureKind.PROXY,
         "the proxy answered 407 Proxy Authentication Required", "credentials"),
        (InvalidProxyStatus(response(403, "")), FailureKind.PROXY, "the proxy answered 403", "sub-path"),
        (InvalidProxyStatus(response(418, "I'm a teapot")), FailureKind.PROXY,
         "the proxy answered 418 I'm a teapot", "rules"),
        (InvalidProxyMessage("no HTTP"), FailureKind.PROXY, "no HTTP", "no_proxy"),
        (ProxyError("failed to connect to SOCKS proxy"), FailureKind.PROXY,
         "failed to connect to SOCKS proxy", "no_proxy"),
        (ImportError("python-socks is required"), FailureKind.PROXY,
         "a SOCKS proxy needs the package python-socks", "dockmon-agent[socks]"),
        (InvalidStatus(response(404, "Not Found", b"<h1>\n  no such   page</h1>")), FailureKind.HTTP,
         "dockmon.example:443 answered 404 Not Found: <h1> no such page</h1>", "sub-path"),
        (InvalidStatus(response(502, "Bad Gateway")), FailureKind.HTTP,
         "dockmon.example:443 answered 502 Bad Gateway", "reverse proxy"),
        (InvalidStatus(response(500, "")), FailureKind.HTTP, "dockmon.example:443 answered 500", ""),
        (InvalidMessage("did not receive a valid HTTP response"), FailureKind.HANDSHAKE,
         "dockmon.example:443 does not speak HTTP", "mixed up"),
        (InvalidHeader("Upgrade"), FailureKind.HANDSHAKE, "missing Upgrade header", "DockMon server"),
        (ConnectionRefusedError(111, "Connection refused"), FailureKind.TCP,
         "dockmon.example:443 refused the connection", "is the server running"),
        (OSError(TWO_ADDRESSES), FailureKind.TCP,
         "dockmon.example:443 refused the connection", "is the server running"),
        (OSError(TWO_REASONS), FailureKind.TCP, "dockmon.example:443 cannot be reached: Multiple exceptions", "routes"),
        (ConnectionResetError(104, "Connection reset by peer"), FailureKind.TCP,
         "dockmon.example:443 cannot be reached: Connection reset by peer", "routes"),
        (OSError(113, "No route to host"), FailureKind.TCP,
         "dockmon.example:443 cannot be reached: No route to host", "routes"),
        (InvalidURI("ws:/x", "scheme"), FailureKind.HANDSHAKE, "ws:/x isn't a valid URI: scheme", ""),
    ],
)  # fmt: skip
def test_what_is_told(error: Exception, kind: FailureKind, text: str, advice: str) -> None:
    """The kind says where to look, the text what was seen, the advice what to do."""
    failure = explain(error, WHERE)
    assert failure.kind is kind
    assert failure.text.startswith(text)
    assert advice in failure.advice
    assert "\n" not in str(failure)


def test_a_plain_server_that_hangs_up_on_tls() -> None:
    """Where TLS was to be spoken, a reset is how a server without it answers."""
    failure = explain(ConnectionResetError(104, "Connection reset by peer"), WHERE, secure=True)
    assert failure.kind is FailureKind.TLS
    assert "ws://" in failure.advice


def test_the_status_of_an_answer() -> None:
    """Only an answer has one."""
    assert explain(InvalidStatus(response(401, "Unauthorized")), WHERE).status == 401
    assert explain(TimeoutError(), WHERE).status is None


def test_a_page_is_cut() -> None:
    """Of what a web server says, the beginning is enough to recognise it."""
    failure = explain(InvalidStatus(response(404, "Not Found", b"x" * 10_000)), WHERE)
    assert len(failure.text) < 300


def test_no_credentials_of_a_proxy() -> None:
    """The URL of a proxy may have a password, so it is never told."""
    failure = explain(
        InvalidProxy("ftp://me:hunter2@proxy:3128", "scheme ftp isn't supported"), WHERE
    )
    assert str(failure).startswith(
        "proxy: the proxy's URL cannot be used: scheme ftp isn't supported"
    )
    assert "hunter2" not in str(failure)
