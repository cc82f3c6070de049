"""The server's WebSocket: `Server` and `Link` on the websockets library."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ProtocolError, WebSocketException
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

from agent.adapters.dial_errors import explain
from agent.adapters.frames import text_frames
from agent.core.failures import Failure, FailureKind
from agent.ports import DialFailed, LinkClosed, LinkStalled

MAX_INCOMING_BYTES = 64 * 1024 * 1024
"""The server states no limit for what it sends; above this we close with 1009."""

FRAGMENT_BYTES = 64 * 1024
"""Larger messages go in fragments of this size, so that a pong gets in between: the server waits 20 s for one."""

SEND_BUFFER_BYTES = 128 * 1024
"""What the kernel may hold back. Left to itself it takes megabytes, and a pong queued behind them comes too late."""

LOOK_S = 1.0
"""How often to look whether the peer took something: nothing tells us."""

HANG_UP_S = 5.0
"""After the close frames the server hangs up. If it does not, we do, and still know the code it gave."""


_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
_FEWEST_ROOTS = 50
"""A directory with fewer is not the system's list but what somebody added to it."""


class _BatchingConnection(ClientConnection):
    """Writes whatever several messages became at once: 150 frames in one system call instead of 150."""

    _handed_over_bytes = 0
    _hang_up: asyncio.TimerHandle | None = None

    @property
    def taken_bytes(self) -> int:
        """What the kernel has taken so far, which it does as the peer takes what came before."""
        return self._handed_over_bytes - self.transport.get_write_buffer_size()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._hang_up is None and self.protocol.close_expected():
            self._hang_up = self.loop.call_later(HANG_UP_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._hang_up is not None:
            self._hang_up.cancel()
        super().connection_lost(exc)

    def send_data(self) -> None:
        pieces = self.protocol.data_to_send()
        if joined := b"".join(pieces):
            self._handed_over_bytes += len(joined)
            self.transport.write(joined)
        if pieces and not pieces[-1]:  # the protocol's sign for the end of the stream
            if self.transport.can_write_eof():
                self.transport.write_eof()
            else:
                self.transport.close()

    async def send_batch(self, messages: Sequence[bytes]) -> None:
        """Writes each as a text message.

        Raises:
            ConnectionClosed: The connection is not open.
            ProtocolError: A message in fragments is under way, and must not be broken into.
        """
        assert messages, "the protocol takes an empty write for the end of the stream"
        async with self.send_context():  # it has seen that the connection is open
            if self.protocol.expect_continuation_frame:
                raise ProtocolError("expected a continuation frame")
            assert not self.protocol.extensions, "they would have to encode each frame"
            self.protocol.writes.append(text_frames(messages))


CONNECTION: Mapping[str, Any] = {
    "compression": None,  # costs more CPU than the traffic is worth
    "ping_interval": None,  # its keepalive waits for ever on a peer that does not read
    "close_timeout": None,  # `close` has its own deadline
    "write_limit": FRAGMENT_BYTES,
    "user_agent_header": "dockmon-agent",
    "create_connection": _BatchingConnection,
}
"""What we tell the library about every connection."""


class WebSocketLink:
    """One open connection. Every wait in here ends: with the peer's progress, or with an abort."""

    def __init__(self, connection: ClientConnection) -> None:
        assert isinstance(connection, _BatchingConnection)
        self._connection = connection
        if (sock := connection.transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    async def receive(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed as closed:
            raise _closed(closed) from closed

    async def send(self, messages: Sequence[bytes], *, progress_s: float) -> None:
        small = [message for message in messages if len(message) <= FRAGMENT_BYTES]
        try:
            if small:
                async with self._progress(progress_s):
                    await self._connection.send_batch(small)
            for message in messages:
                if len(message) > FRAGMENT_BYTES:
                    async with self._progress(progress_s):
                        await self._connection.send(_fragments(message), text=True)
        except TimeoutError:
            self.abort()
            raise LinkStalled(1006, f"the server took nothing for {progress_s:.0f} s") from None
        except ConnectionClosed as closed:
            raise _closed(closed) from closed

    async def ping(self, *, deadline_s: float) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                await (await self._connection.ping())
        except TimeoutError:
            self.abort()
            raise LinkStalled(1006, f"no pong within {deadline_s:.0f} s") from None
        except ConnectionClosed as closed:
            raise _closed(closed) from closed

    async def close(self, code: int, reason: str, *, deadline_s: float) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                await self._connection.close(code, reason)
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        self._connection.transport.abort()

    @asynccontextmanager
    async def _progress(self, within_s: float) -> AsyncIterator[None]:
        """A timeout that begins anew whenever the peer takes something, up to `LOOK_S` late."""
        loop, taken_bytes = asyncio.get_running_loop(), -1
        next_look: asyncio.Handle

        def look() -> None:
            nonlocal taken_bytes, next_look
            if self._connection.taken_bytes > taken_bytes:
                taken_bytes = self._connection.taken_bytes
                patience.reschedule(loop.time() + within_s)
            next_look = loop.call_later(LOOK_S, look)

        async with asyncio.timeout(within_s) as patience:
            next_look = loop.call_soon(look)
            try:
                yield
            finally:
                next_look.cancel()


class WebSocketServer:
    """One endpoint of a DockMon server.

    Args:
        url: `ws://` or `wss://`, with the path.
        tls: None for the system's trust store; see `tls_context`.
        bearer: The token to show at the door, where one is asked for.
        max_incoming_bytes: A larger message closes the connection with 1009.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: ssl.SSLContext | None = None,
        bearer: str | None = None,
        max_incoming_bytes: int = MAX_INCOMING_BYTES,
    ) -> None:
        self._url, self._tls = url, tls
        self._headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        self._max_incoming_bytes = max_incoming_bytes
        # The library logs frames at debug, and frames hold tokens.
        self._log = logging.getLogger("agent.websockets")
        self._log.setLevel(logging.CRITICAL)

    async def dial(self, *, deadline_s: float) -> WebSocketLink:
        where = _where(self._url)
        secure = self._url.startswith("wss:")
        try:
            proxy = None if _is_loopback(self._url) else get_proxy(parse_uri(self._url))
            if proxy is not None:
                where = f"the proxy {_where(proxy)}"
            connection = await connect(
                self._url,
                open_timeout=deadline_s,
                proxy=proxy,
                ssl=(self._tls or True) if secure else None,
                max_size=self._max_incoming_bytes,
                additional_headers=self._headers,
                logger=self._log,
                **CONNECTION,
            )
        except (OSError, WebSocketException, ImportError, UnicodeError) as error:
            raise DialFailed(explain(error, where, secure=secure)) from error
        return WebSocketLink(connection)


def tls_context(ca_cert: Path | None, *, skip_verify: bool) -> ssl.SSLContext:
    """The system's roots, `ca_cert` (PEM) added to them; or no verification at all.

    Raises:
        DialFailed: `ca_cert` cannot be read or is not a certificate.
    """
    directory = _certificate_directory(ssl.get_default_verify_paths())
    context = ssl.create_default_context(capath=directory)  # None: all of the system's, at once
    # Newer Pythons demand extensions that certificates people make for themselves often lack.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if ca_cert is not None:
        try:
            context.load_verify_locations(ca_cert)
        except (OSError, ssl.SSLError) as error:
            text = f"DOCKMON_CA_CERT {ca_cert} cannot be used: {error.strerror or error}"
            advice = "it has to be a readable file with certificates in PEM form"
            raise DialFailed(Failure(FailureKind.SETTINGS, text, advice)) from error
    if skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _certificate_directory(paths: ssl.DefaultVerifyPaths) -> str | None:
    """Where OpenSSL looks a root up when it needs it, if the system has all of them there under their hashes.

    The other way is one file with all of them, of which 150 are read and kept: more than a megabyte for one server.
    """
    if not paths.capath or paths.openssl_cafile_env in os.environ:
        return None  # whoever names a file wants that file
    try:
        with os.scandir(paths.capath) as entries:
            hashed = sum(_HASHED.fullmatch(entry.name) is not None for entry in entries)
    except OSError:
        return None
    return paths.capath if hashed >= _FEWEST_ROOTS else None


def _fragments(message: bytes) -> Iterator[bytes]:
    """Each is asked for when the one before has left our buffer."""
    for start in range(0, len(message), FRAGMENT_BYTES):
        yield message[start : start + FRAGMENT_BYTES]


def _closed(closed: ConnectionClosed) -> LinkClosed:
    """Whose close frame came first decides who closed."""
    if closed.rcvd is not None and (closed.rcvd_then_sent or closed.sent is None):
        return LinkClosed(closed.rcvd.code, closed.rcvd.reason)
    if closed.sent is not None:
        return LinkClosed(closed.sent.code, closed.sent.reason, by_us=True)
    return LinkClosed(1006, "")


def _where(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    default = {"wss": 443, "https": 443, "ws": 80, "http": 80}.get(parts.scheme)
    port = parts.port or default
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else shown


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
