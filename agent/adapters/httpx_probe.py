"""HTTP checks by httpx. Importing this costs memory that an agent without checks does not spend: see http_probe."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from typing import cast

import httpx

from agent import __version__
from agent.adapters.http_errors import TooManyRedirects, explain
from agent.adapters.http_proxy import proxy_for
from agent.core.health_checks import HealthCheck
from agent.core.health_results import Answered, Outcome, Unanswered
from agent.core.redirects import may_be_told, redirected

MAX_REDIRECTS = 10

CONNECTIONS = httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=90.0)
"""Of all checks together. A connection is kept for longer than the usual interval, but not for an hourly check."""

MAX_BODY_BYTES = 64 * 1024
"""A body is read only so that its connection can be used again; a new one is cheaper than reading more."""

BODY_S = 1.0
"""How long a body is read, for the same reason."""

Headers = Sequence[tuple[str, str]]

OUR_HEADERS: Headers = (("User-Agent", f"dockmon-agent/{__version__}"), ("Accept", "*/*"))


@dataclass(frozen=True, slots=True)
class _Answer:
    """`at_s` (loop time): when its headers were there."""

    status_code: int
    location: str
    at_s: float


class HttpxProbe:
    """Bare transports: nothing that one check is told or sends, such as a cookie, gets into another."""

    def __init__(self) -> None:
        self._transports: dict[tuple[bool, str | None], httpx.AsyncHTTPTransport] = {}

    async def probe(self, check: HealthCheck) -> Outcome:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            answer = await self._last_answer(check, began_s + check.timeout_s)
        # Whatever a library raises over what a server sent: there was no answer.
        except Exception as error:
            trouble, detail = explain(error)
            return Unanswered(trouble, _ms(loop.time() - began_s), detail)
        return Answered(answer.status_code, _ms(answer.at_s - began_s))

    async def rest(self) -> None:
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.aclose()

    async def _last_answer(self, check: HealthCheck, until_s: float) -> _Answer:
        method: str = check.method
        url, headers = check.url, _completed(check.headers)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._ask(method, url, headers, check.verify_tls, until_s)
            if not check.follow_redirects:
                return answer
            onward = redirected(method, url, answer.status_code, answer.location)
            if onward is None:
                return answer
            if not may_be_told(url, onward[1]):
                headers = OUR_HEADERS
            method, url = onward
        raise TooManyRedirects

    async def _ask(
        self, method: str, url: str, headers: Headers, verify_tls: bool, until_s: float
    ) -> _Answer:
        transport = self._transport(verify_tls, _proxy_of(url))
        async with asyncio.timeout_at(until_s):
            response = await _send(transport, method, url, headers)
        at_s = asyncio.get_running_loop().time()
        await _finish(response, min(at_s + BODY_S, until_s))
        return _Answer(response.status_code, response.headers.get("Location", ""), at_s)

    def _transport(self, verify_tls: bool, proxy: str | None) -> httpx.AsyncHTTPTransport:
        key = (verify_tls, proxy)
        if key not in self._transports:
            self._transports[key] = httpx.AsyncHTTPTransport(
                verify=_tls_context(verify_tls), proxy=proxy, limits=CONNECTIONS
            )
        return self._transports[key]


class _Watch:
    """Told by httpx what it does for one request."""

    def __init__(self) -> None:
        self.has_connected = False

    async def __call__(self, step: str, _: object) -> None:
        self.has_connected |= step == "connection.connect_tcp.started"


async def _send(
    transport: httpx.AsyncHTTPTransport, method: str, url: str, headers: Headers
) -> httpx.Response:
    raw = [(name.encode(), value.encode("utf-8", "replace")) for name, value in headers]
    while True:
        watch = _Watch()
        request = httpx.Request(method, url, headers=raw, extensions={"trace": watch})
        try:
            return await transport.handle_async_request(request)
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            # A server may close a kept connection in the moment of its use, and does so each time if it keeps them for
            # exactly our interval. What changes something is not sent twice, as everywhere.
            if watch.has_connected or method == "POST":
                raise


async def _finish(response: httpx.Response, until_s: float) -> None:
    """Reads the body, or closes the connection if that is too much. The status has said everything by now."""
    read_bytes = 0
    try:
        body = cast(AsyncGenerator[bytes, None], response.aiter_raw())
        async with asyncio.timeout_at(until_s), aclosing(body) as parts:
            async for part in parts:
                read_bytes += len(part)
                if read_bytes > MAX_BODY_BYTES:
                    break
    except (TimeoutError, httpx.HTTPError):
        pass
    finally:
        await response.aclose()


def _completed(headers: Headers) -> Headers:
    given = {name.lower() for name, _ in headers}
    return [*headers, *(ours for ours in OUR_HEADERS if ours[0].lower() not in given)]


def _proxy_of(url: str) -> str | None:
    parts = httpx.URL(url)
    return proxy_for(parts.scheme, parts.host)


@cache
def _tls_context(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    # Newer Pythons demand extensions that certificates people make for themselves often lack.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
