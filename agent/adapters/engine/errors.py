"""From what the libraries raise and the engine answers to the errors of the port."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import requests
import urllib3.exceptions

from agent.adapters.engine.endpoint import Endpoint
from agent.ports import (
    Conflict,
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    NotFound,
)

TEXT_MAX = 500
"""Characters of an engine's message that a user gets to read; a failing create can quote pages."""

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@\"]+@")


def failed(err: Exception, endpoint: Endpoint, timeout_s: float) -> EngineError:
    """What it means that `requests` or `urllib3` gave up with `err`."""
    causes = list(_causes(err))
    if any(isinstance(cause, requests.ConnectTimeout) for cause in causes):
        return EngineUnreachable(
            f"{endpoint} takes no connection: is the address right, and no firewall in between?"
        )
    if any(
        isinstance(cause, TimeoutError | urllib3.exceptions.ReadTimeoutError) for cause in causes
    ):
        return EngineTimeout(silent(endpoint, timeout_s))
    # What requests raises is an OSError too, but never the root of it.
    roots = [
        cause
        for cause in causes
        if isinstance(cause, OSError | HTTPException)
        and not isinstance(cause, requests.RequestException)
    ]
    return EngineUnreachable(_unreachable(roots[-1] if roots else err, endpoint))


def silent(endpoint: Endpoint, timeout_s: float) -> str:
    return f"The engine at {endpoint} did not answer within {timeout_s:g} s"


def refused(status: int, reason: str, body: bytes) -> EngineRefused:
    """The error for an HTTP status of 300 and above. The text is the engine's own `message`."""
    kind = {404: NotFound, 409: Conflict}.get(status, EngineRefused)
    return kind(_message(body) or f"HTTP {status} {reason}".strip(), status)


def brief(text: str) -> str:
    """One line for users, without the credentials that a URL in it may hold."""
    text = _CREDENTIALS.sub("", " ".join(text.split()))
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 1]}…"


def _message(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        text = body.decode(errors="replace").strip()
        return "" if text.startswith("<") else brief(text)  # a proxy's HTML page says nothing
    message = answer.get("message") if isinstance(answer, dict) else None
    return brief(message) if isinstance(message, str) else ""


def _causes(err: BaseException | None) -> Iterator[BaseException]:
    while err is not None:
        yield err
        err = err.__cause__ or err.__context__


def _unreachable(root: BaseException, endpoint: Endpoint) -> str:
    path = endpoint.socket_path
    match root:
        case FileNotFoundError() if path:
            return (
                f"There is no socket {path}: start Docker on the host, or give the agent's "
                f"container the host's socket (-v {path}:{path})"
            )
        case ConnectionRefusedError() if path and Path(path).is_dir():
            return (
                f"{path} is a directory: it was mounted before Docker had made its socket. Start "
                "Docker, remove the directory, and create the agent's container again"
            )
        case ConnectionRefusedError():
            return f"Nobody listens at {endpoint}: is the engine running?"
        case PermissionError() if path:
            return (
                f"No permission to use {path}: run the agent as root, or in the socket's group "
                f"(--group-add $(stat -c %g {path}))"
            )
        case BlockingIOError():
            return f"{endpoint} takes no more connections: the engine hangs or is overloaded"
        case ssl.SSLError():
            why = getattr(root, "verify_message", "") or root.reason or "no reason given"
            return (
                f"TLS with {endpoint} failed: {why}. Check DOCKER_TLS_VERIFY and the files in "
                "DOCKER_CERT_PATH"
            )
        case socket.gaierror():
            return (
                f"The host name in {endpoint} is not known to the name servers: check DOCKER_HOST"
            )
    why = (isinstance(root, OSError) and root.strerror) or str(root) or type(root).__name__
    return f"The connection to the engine at {endpoint} broke: {brief(why)}"
