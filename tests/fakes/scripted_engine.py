"""An engine that answers as a test tells it to: just enough of HTTP and of the Engine API for the odd cases."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import socketserver
import ssl
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

WAIT_S = 20.0
"""Longer than any test's own deadline, so that a thread in here is never the one that decides."""


@dataclass(frozen=True)
class Asked:
    """A request as it came; `path` is without the version, which is `api` ("" for none).

    The names of `headers` are in small letters.
    """

    method: str
    path: str
    query: dict[str, str]
    body: Any
    api: str
    headers: dict[str, str]


class Exchange:
    """One request, to be answered with whatever bytes the test wants."""

    def __init__(self, handler: _Handler, asked: Asked) -> None:
        self._handler, self.asked = handler, asked
        self.engine = handler.server.engine

    def reply(self, status: int, answer: object) -> None:
        """A whole answer: JSON, or text as it stands."""
        body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self._handler.send_response(status)
        self._handler.send_header("Content-Length", str(len(body)))
        self._handler.end_headers()
        if status != 304:
            self.send(body)

    @property
    def connection(self) -> socket.socket:
        """For what is no HTTP any more."""
        connection: socket.socket = self._handler.connection
        return connection

    def begin_stream(self) -> None:
        self._handler.send_response(200)
        self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()

    def chunk(self, data: bytes) -> None:
        """A piece of a stream; no data is its end."""
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def send(self, data: bytes) -> None:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def hang_up(self) -> None:
        self._handler.close_connection = True

    def hold(self) -> None:
        """Does nothing until the test lets go."""
        self.engine.held.release()
        self.engine.let_go.wait(WAIT_S)

    def wait_for_hang_up(self) -> None:
        """Returns when the client has closed the connection, and says so to the test."""
        connection = self._handler.connection
        connection.settimeout(WAIT_S)
        self.hang_up()
        try:
            while connection.recv(4096):
                pass
        except TimeoutError:
            return
        except OSError:  # with unread data in it, or in the middle of a TLS record
            pass
        self.engine.hung_up.set()


Script = Callable[[Exchange], None]


def replying(status: int, answer: object) -> Script:
    return lambda exchange: exchange.reply(status, answer)


def holding(exchange: Exchange) -> None:
    """Takes the request and says nothing, until let go."""
    exchange.hold()
    exchange.hang_up()


def streaming(*pieces: bytes) -> Script:
    """These chunks, and a proper end."""

    def run(exchange: Exchange) -> None:
        exchange.begin_stream()
        for piece in (*pieces, b""):
            exchange.chunk(piece)

    return run


def sending(data: bytes) -> Script:
    """These bytes and the end of the connection."""

    def run(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.hang_up()

    return run


class ScriptedEngine:
    """Listens on a unix socket (or, with `tls` or `tcp`, on a loopback port) and remembers what it was asked.

    `held` is released once for every request that is held, `let_go` ends holding, `hung_up` is set when a script
    that waited for it saw the client close.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, tcp: bool = False) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="dm")
        self.socket_path = Path(self._directory.name, "s")
        self.asked: list[Asked] = []
        self.connections = 0
        self.held, self.let_go = threading.Semaphore(0), threading.Event()
        self.hung_up = threading.Event()
        self._scripts: dict[tuple[str, str], Script] = {}
        self.on("GET", "/version", replying(200, {"Version": "20.10", "ApiVersion": "1.41"}))
        server: _TcpServer | _UnixServer
        if tls or tcp:
            server = _TcpServer(("127.0.0.1", 0), _Handler)
            self.address = f"tcp://127.0.0.1:{server.server_address[1]}"
        else:
            server = _UnixServer(str(self.socket_path), _Handler)
            self.address = f"unix://{self.socket_path}"
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.engine = self
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)

    def on(self, method: str, path: str, script: Script) -> None:
        self._scripts[method, path] = script

    def on_any(self, method: str, script: Script) -> None:
        """For paths that have no script of their own."""
        self._scripts[method, ""] = script

    def answer(self, exchange: Exchange) -> None:
        asked = exchange.asked
        self.asked.append(asked)
        unknown = replying(404, {"message": "page not found"})
        script = self._scripts.get((asked.method, ""), unknown)
        self._scripts.get((asked.method, asked.path), script)(exchange)

    def paths(self) -> list[str]:
        """What was asked, without the questions for the version."""
        return [asked.path for asked in self.asked if asked.path != "/version"]

    async def until_held(self, count: int) -> None:
        """Returns when it sits on `count` more requests."""
        loop = asyncio.get_running_loop()
        for _ in range(count):
            assert await loop.run_in_executor(None, self.held.acquire, True, WAIT_S)

    async def until_hung_up(self) -> None:
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, self.hung_up.wait, WAIT_S)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join(WAIT_S)
        self._directory.cleanup()


class _Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
    engine: ScriptedEngine
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *args: Any) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.engine.connections += 1
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what many tests are about."""


class _UnixServer(_Server, socketserver.UnixStreamServer):
    pass


class _TcpServer(_Server, socketserver.TCPServer):
    pass


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        version = re.match(r"/v([0-9.]+)(?=/)", url.path)
        asked = Asked(
            self.command,
            url.path[version.end() :] if version else url.path,
            dict(parse_qsl(url.query, keep_blank_values=True)),
            json.loads(body) if body else None,
            version[1] if version else "",
            {name.lower(): value for name, value in self.headers.items()},
        )
        self.server.engine.answer(Exchange(self, asked))

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815  the names are http.server's

    def log_message(self, *args: object) -> None:
        """Silent: pytest shows what a test says."""
