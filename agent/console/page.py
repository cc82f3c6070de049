"""A web page on loopback that is well until it is told not to be."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

ANSWER_S = 5.0


class Page:
    """Answers every request on every connection with one status, while `async with` lasts.

    Attributes:
        url: Where it is; empty before.
        status: The HTTP status that it answers with.
    """

    def __init__(self) -> None:
        self.url, self.status = "", 200
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {self.status} \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(ANSWER_S):  # its expiry is an OSError as well
                await reader.readuntil(b"\r\n\r\n")
                writer.write(head.encode())
                await writer.drain()
        writer.close()
