"""An HTTP server on loopback, whose answers a test writes byte by byte."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. Header names are in lower case; `connection` counts the connections from 1."""

    method: str
    path: str
    headers: dict[str, str]
    connection: int


@dataclass
class HttpServer:
    """`asked` holds every request, in order. A connection stays open unless the answer closes it."""

    answer: Answer
    port: int = 0
    scheme: str = "http"
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    closed: int = 0

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request, *lines = head.decode("latin-1").split("\r\n")[:-2]
                method, path, _ = request.split(" ")
                pairs = (line.partition(":") for line in lines)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                self.asked.append(Asked(method, path, headers, number))
                await self.answer(self.asked[-1], writer)
                await writer.drain()
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has what it wanted
        finally:
            self.closed += 1
            writer.close()


@asynccontextmanager
async def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpServer]:
    """A server that answers each request by calling `answer`."""
    server = HttpServer(answer, scheme="https" if tls else "http")
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def saying(status: str, *headers: str, body: bytes = b"") -> Answer:
    """The same answer each time; `status` as in `200 OK`."""
    lines = (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", "")
    whole = "\r\n".join(lines).encode() + body

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(whole)

    return answer
