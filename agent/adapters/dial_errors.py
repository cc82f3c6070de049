"""Why a dial failed, one line for each class of cause."""

from __future__ import annotations

import errno
import re
import socket
import ssl

from websockets.exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
    ProxyError,
)

from agent.core.failures import Failure, FailureKind

BODY_CHARS = 200

_ERRNO = re.compile(r"\[Errno (\d+)\]")

_PROXY_ADVICE = "check the *_proxy variables, or except the server with no_proxy"
_NO_TLS = "does this port speak TLS? If not, DOCKMON_URL begins with ws://"

_STATUS_ADVICE = {
    401: "something in front of the server wants a login",
    403: "the path is not the server's: check DOCKMON_URL for a wrong sub-path",
    404: "the path is not the server's: check DOCKMON_URL for a wrong sub-path",
    407: "the proxy wants credentials: put them into the proxy's URL",
    426: "something in front of the server does not forward WebSocket upgrades",
    502: "the reverse proxy does not reach the DockMon server",
    503: "the reverse proxy does not reach the DockMon server",
    504: "the reverse proxy does not reach the DockMon server",
}


def explain(error: Exception, where: str, *, secure: bool = False) -> Failure:
    """The failure for `error`, met while dialling `where` ("host:port", or the proxy's; never with credentials).

    Args:
        secure: Whether TLS was to be spoken: a plain server may hang up on its first bytes.
    """
    match error:
        case TimeoutError():
            return Failure(
                FailureKind.TIMEOUT, f"{where} did not answer in time", "is a firewall in between?"
            )
        case socket.gaierror():
            advice = "check DOCKMON_URL and the name servers of this host"
            return Failure(FailureKind.DNS, f"{where} cannot be resolved: {error.strerror}", advice)
        case UnicodeError():
            advice = "check the host name in DOCKMON_URL"
            return Failure(FailureKind.DNS, f"{where} is not a host name", advice)
        case ssl.SSLCertVerificationError():
            advice = "give its CA with DOCKMON_CA_CERT, or set INSECURE_SKIP_VERIFY=true"
            text = f"the certificate of {where} is not trusted: {error.verify_message}"
            return Failure(FailureKind.TLS, text, advice)
        case ssl.SSLError():
            reason = getattr(error, "reason", "") or _sentence(error)  # only OpenSSL's own have one
            return Failure(FailureKind.TLS, f"no TLS with {where}: {reason}", _NO_TLS)
        case InvalidProxyStatus():
            status = error.response.status_code
            text = f"the proxy answered {status} {error.response.reason_phrase}".rstrip()
            return Failure(
                FailureKind.PROXY, text, _STATUS_ADVICE.get(status, "check the proxy's rules")
            )
        case InvalidProxy():  # its own text has the URL, and that may have a password
            text = f"the proxy's URL cannot be used: {error.msg}"
            return Failure(FailureKind.PROXY, text, _PROXY_ADVICE)
        case InvalidProxyMessage() | ProxyError():
            return Failure(FailureKind.PROXY, _sentence(error), _PROXY_ADVICE)
        case ImportError():
            advice = "install the agent with its extra: dockmon-agent[socks]"
            return Failure(
                FailureKind.PROXY, "a SOCKS proxy needs the package python-socks", advice
            )
        case InvalidStatus():
            status, body = error.response.status_code, bytes(error.response.body or b"")
            start = " ".join(body[: 4 * BODY_CHARS].decode("utf-8", "replace").split())[:BODY_CHARS]
            text = f"{where} answered {status} {error.response.reason_phrase}".rstrip()
            return Failure(
                FailureKind.HTTP,
                text + (f": {start}" if start else ""),
                _STATUS_ADVICE.get(status, ""),
                status,
            )
        case InvalidMessage():
            advice = "is it a web server, and are ws:// and wss:// not mixed up?"
            return Failure(FailureKind.HANDSHAKE, f"{where} does not speak HTTP", advice)
        case InvalidHandshake():
            return Failure(FailureKind.HANDSHAKE, _sentence(error), "is it a DockMon server?")
        case ConnectionResetError() if secure:
            return Failure(FailureKind.TLS, f"{where} hung up on TLS", _NO_TLS)
        case OSError() if _is_refused(error):
            advice = "is the server running, and is the port right?"
            return Failure(FailureKind.TCP, f"{where} refused the connection", advice)
        case OSError():
            text = f"{where} cannot be reached: {error.strerror or _sentence(error)}"
            return Failure(FailureKind.TCP, text, "check routes and firewalls")
    return Failure(FailureKind.HANDSHAKE, _sentence(error))


def _is_refused(error: OSError) -> bool:
    """Also where a name has several addresses: asyncio then joins what each of them said into one text."""
    said = {int(number) for number in _ERRNO.findall(str(error))}
    return isinstance(error, ConnectionRefusedError) or said == {errno.ECONNREFUSED}


def _sentence(error: Exception) -> str:
    return str(error)[:BODY_CHARS] or type(error).__name__
