"""Why an HTTP request got no answer. Nothing of the request is ever repeated: it may hold credentials."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpx

from agent.core.health_results import Trouble
from agent.core.redirects import NowhereToGo


class TooManyRedirects(Exception):
    """The answers lead on and on."""


def explain(error: BaseException) -> tuple[Trouble, str]:
    """The class of trouble, and a few words about it ("" where the class says everything)."""
    causes = list(_causes(error))
    for trouble, kinds in _CLASSES:
        if any(isinstance(cause, kinds) for cause in causes):
            return trouble, ""
    for cause in causes:
        if words := _words(cause):
            return Trouble.OTHER, words
    return Trouble.OTHER, type(error).__name__


_CLASSES: tuple[tuple[Trouble, tuple[type[BaseException], ...]], ...] = (
    (Trouble.TIMEOUT, (TimeoutError,)),
    (Trouble.HOST_NOT_FOUND, (socket.gaierror, UnicodeError)),  # no name at all, for the latter
    # One address may refuse while there is no route to another: the server is there and does not listen.
    (Trouble.REFUSED, (ConnectionRefusedError,)),
)


def _words(error: BaseException) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            reason = getattr(error, "reason", None) or "it broke off"  # only OpenSSL's own have one
            return f"no TLS: {reason.replace('_', ' ').lower()}"
        case OSError(strerror=str(words)):
            return words
        case httpx.RemoteProtocolError():
            return "no HTTP answer"
        case httpx.LocalProtocolError():
            return "the configured headers cannot be sent"
        case httpx.InvalidURL():
            return "the URL cannot be used"
        case httpx.ProxyError():
            return "the proxy does not let us through"
        case NowhereToGo():
            return "redirected to what is no HTTP URL"
        case TooManyRedirects():
            return "too many redirects"
        case ImportError():
            return "a SOCKS proxy cannot be used for checks"
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what led to it, innermost first: what the operating system says is what helps."""
    if error is None:
        return
    yield from _causes(error.__cause__ or error.__context__)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    yield error
