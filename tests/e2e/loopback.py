"""The loopback of another network namespace, on which some of this one's ports are there as well."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
CHUNK_BYTES = 64 * 1024

T = TypeVar("T")

_library = ctypes.CDLL(None, use_errno=True)


class Loopback:
    """`async with` forwards 127.0.0.1:PORT in the namespace of process `pid` to the same in ours, for each port."""

    def __init__(self, pid: int, ports: Sequence[int]) -> None:
        self._pid, self._ports = pid, ports
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        for listening in within(self._pid, self._listen):
            port = int(listening.getsockname()[1])
            server = await asyncio.start_server(self._forward_to(port), sock=listening)
            self._servers.append(server)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _listen(self) -> list[socket.socket]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        # A socket belongs to the namespace that it was made in, whoever accepts on it.
        return [socket.create_server(("127.0.0.1", port)) for port in self._ports]

    def _forward_to(
        self, port: int
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(_forward(reader, writer, port))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return accept


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_copy(reader, back))
            both.create_task(_copy(there, writer))
    finally:
        back.close()
        writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(CHUNK_BYTES):
            target.write(chunk)
            await target.drain()
        target.write_eof()


def within(pid: int, do: Callable[[], T]) -> T:
    """What `do` returns in the network namespace of that process: on a thread of its own, which ends there."""
    found: list[T | BaseException] = []

    def run() -> None:
        try:
            descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _library.setns(descriptor, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            finally:
                os.close(descriptor)
            found.append(do())
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    (result,) = found
    if isinstance(result, BaseException):
        raise result
    return result
