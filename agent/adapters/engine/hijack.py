"""A connection to the engine that begins as HTTP and then carries raw bytes both ways, without a thread."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from typing import Protocol
from urllib.parse import urlsplit

from agent.adapters.engine.endpoint import Endpoint
from agent.adapters.engine.errors import failed, silent
from agent.adapters.engine.keepalive import keep_alive
from agent.adapters.engine.upgrade import Upgrade
from agent.ports import EngineError, EngineTimeout, EngineUnreachable, Json

PIECE_BYTES = 16 * 1024

_WRITE_HIGH_BYTES = 16 * 1024


class Receiver(Protocol):
    """What happens on the connection once it is taken over, on the loop's thread."""

    def received(self, data: bytes) -> None:
        """At most 16 KiB, as it comes."""

    def lost(self, reason: str) -> None:
        """Nothing more comes: "" if the engine ended it in good order. Not called after `drain` or `close`."""


async def hijack(
    endpoint: Endpoint, path: str, body: Json, receiver: Receiver, *, deadline_s: float
) -> Hijacked:
    """Posts `body` to `path` and takes over the connection. The receiver may hear of it before this returns.

    Raises:
        EngineError: The engine cannot be reached, or does not let it be taken over.
    """
    connection = Hijacked(endpoint, receiver)
    with contextlib.ExitStack() as undo:
        undo.callback(connection.close)
        try:
            async with asyncio.timeout(deadline_s):
                await _connect(endpoint, connection)
                await connection.ask(path, body)
        except TimeoutError:
            raise EngineTimeout(silent(endpoint, deadline_s)) from None
        except OSError as err:
            raise failed(err, endpoint, deadline_s) from err
        undo.pop_all()
    return connection


class Hijacked(asyncio.BufferedProtocol):
    """Such a connection, made by `hijack`."""

    def __init__(self, endpoint: Endpoint, receiver: Receiver) -> None:
        self._endpoint, self._receiver = endpoint, receiver
        self._buffer = bytearray(PIECE_BYTES)
        self._transport: asyncio.Transport | None = None
        self._upgrade: Upgrade | None = Upgrade()
        self._upgraded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writable = asyncio.Event()
        self._writable.set()
        self._is_over = False

    async def ask(self, path: str, body: Json) -> None:
        """Has the connection taken over."""
        assert self._transport is not None
        self._transport.write(_request(self._endpoint, path, body))
        await self._upgraded

    async def write(self, data: bytes, *, deadline_s: float) -> None:
        """Sends, and waits while the engine takes no more.

        Raises:
            EngineTimeout: It took no more until the deadline.
            EngineUnreachable: The connection is gone.
        """
        if self._transport is not None and not self._is_over:
            self._transport.write(data)
        try:
            async with asyncio.timeout(deadline_s):
                await self._writable.wait()
        except TimeoutError:
            raise EngineTimeout(
                f"The process in the container took no input for {deadline_s:g} s"
            ) from None
        if self._is_over:
            raise EngineUnreachable("The connection to the process in the container is closed")

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def drain(self) -> None:
        """Drops what comes from now on, lest the engine waits for somebody to read it."""
        self._over()
        self.resume()

    def close(self) -> None:
        self._over()
        if self._transport is not None:
            self._transport.abort()

    # What the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITE_HIGH_BYTES)
        keep_alive(transport.get_extra_info("socket"))

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._received(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> None:
        assert self._transport is not None
        self._transport.abort()  # closing would first send what nobody reads any more

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._upgraded.done():
            broke = exc or ConnectionResetError("it was closed without an answer")
            self._refuse(failed(broke, self._endpoint, 0.0))
        if not self._is_over:
            self._over()
            self._receiver.lost(str(failed(exc, self._endpoint, 0.0)) if exc else "")

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What it means

    def _received(self, data: bytes) -> None:
        if self._upgrade is not None and not self._is_over:
            data = self._read_answer(self._upgrade, data)
        if data and not self._is_over:
            self._receiver.received(data)

    def _read_answer(self, upgrade: Upgrade, data: bytes) -> bytes:
        """Returns what is no longer the answer."""
        try:
            rest = upgrade.feed(data)
        except EngineError as refusal:
            self._refuse(refusal)
            return b""
        if rest is None:
            return b""
        self._upgrade = None
        self._upgraded.set_result(None)
        return rest

    def _refuse(self, refusal: EngineError) -> None:
        self._over()
        if not self._upgraded.done():
            self._upgraded.set_exception(refusal)

    def _over(self) -> None:
        self._is_over = True
        self._writable.set()


async def _connect(endpoint: Endpoint, connection: Hijacked) -> None:
    loop = asyncio.get_running_loop()
    if path := endpoint.socket_path:
        await loop.create_unix_connection(lambda: connection, path)
    else:
        url, tls = urlsplit(endpoint.url), _tls(endpoint)
        await loop.create_connection(
            lambda: connection, url.hostname or "localhost", url.port or 2375, ssl=tls
        )


def _tls(endpoint: Endpoint) -> ssl.SSLContext | None:
    if not endpoint.url.startswith("https://"):
        return None
    directory = endpoint.cert_path
    if directory is None:
        return ssl.create_default_context()
    context = ssl.create_default_context(cafile=directory / "ca.pem" if endpoint.verify else None)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    if not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _request(endpoint: Endpoint, path: str, body: Json) -> bytes:
    url, content = urlsplit(endpoint.url), json.dumps(body).encode()
    host, prefix = ("docker", "") if endpoint.socket_path else (url.netloc, url.path)
    head = (
        f"POST {prefix}{path} HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: tcp",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    )
    return "\r\n".join((*head, "", "")).encode("ascii") + content
