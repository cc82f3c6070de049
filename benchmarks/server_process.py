"""The reference server as a process, so that its cost is nobody else's: `python -m benchmarks.server_process DIR`.

A line of JSON in, `{"do": …}` with arguments, and a line out, `{"result": …}` or `{"error": …}`. The certificate is in
DIR.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from agent.console.witness import Key, received
from agent.hub.breaker import CircuitBreaker
from agent.hub.host import Host
from agent.hub.journal import Entry
from agent.hub.link import Link
from agent.hub.replies import RequestFailed
from agent.hub.server import Hub
from agent.hub.shells import Shell
from benchmarks.pace import Pace

POLL_S = 10.0
"""As a server asks whose pages nobody looks at."""

PAUSE_S = 0.01
REQUEST_S = 30.0
ONLINE_S = 60.0
_BYTES_RECEIVED_AT = 128  # in the kernel's struct tcp_info
_TCP_INFO_BYTES = 192
_LINE_BYTES = 2**24


class Server:
    """A hub, and a socket beside it that takes whatever the baseline sends. Each public coroutine is a `do`."""

    def __init__(self, hub: Hub, sink: Sink) -> None:
        self._hub, self._sink = hub, sink
        self._frames, self._pace = 0, Pace(0.0)
        self._began_s = self._began_bytes = 0.0
        self._began_points = 0
        self._events: list[tuple[Key, float]] = []
        self._shell: Shell | None = None
        self._log_flood: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        hub.listen(self._notice)

    async def where(self) -> dict[str, str]:
        """Addresses, and a token for one agent."""
        return {"hub": self._hub.url, "sink": self._sink.url, "token": self._hub.new_token()}

    async def online(self) -> str:
        """The ID of the first host that is connected, once there is one."""
        async with asyncio.timeout(ONLINE_S):
            return (await self._hub.host_online(ONLINE_S)).id

    async def begin(self) -> None:
        """Counts from now on."""
        self._began_s = asyncio.get_running_loop().time()
        self._frames, self._pace = 0, Pace(self._began_s)
        self._sink.begin(self._began_s)
        self._began_points = self._points()
        self._began_bytes = self._received_bytes()

    async def end(self) -> dict[str, float]:
        """What came since `begin`, all per second; samples by the time from the first to the last."""
        now_s = asyncio.get_running_loop().time()
        elapsed_s = now_s - self._began_s
        points = self._points() - self._began_points
        return {
            "samples": self._pace.samples_per_s(now_s),
            "history": points / elapsed_s,
            "frames": (self._frames + points) / elapsed_s,
            "bytes": (self._received_bytes() - self._began_bytes) / elapsed_s,
            "sink_samples": self._sink.pace.samples_per_s(now_s),
            "sink_frames": self._sink.frames / elapsed_s,
            "sink_bytes": self._sink.bytes / elapsed_s,
        }

    async def commands(self, count: int) -> list[float]:
        """Round trips of a command that needs no engine, in ms."""
        return [await self._timed_ms("no_such_command") for _ in range(count)]

    async def listings(self, count: int) -> list[float]:
        return [await self._timed_ms("list_containers") for _ in range(count)]

    async def reconnects(self, count: int) -> list[float]:
        """From a connection that is reset to the agent's return, in ms."""
        loop = asyncio.get_running_loop()
        found = []
        for _ in range(count):
            host = self._host
            connections = host.connections
            began_s = loop.time()
            self._hub.faults.cut(host)
            async with asyncio.timeout(ONLINE_S):
                while host.connections == connections or host.link is None:
                    await asyncio.sleep(0.001)
            found.append((loop.time() - began_s) * 1e3)
            await asyncio.sleep(1.0)
        return found

    async def events(self) -> list[list[Any]]:
        """Those that came since the last time: whose, what, at which microsecond, and how many ms later here."""
        events, self._events = self._events, []
        return [[*_as_list(key), late_ms] for key, late_ms in events]

    async def complaints(self) -> list[str]:
        """What the server disliked."""
        return [text for _, text in self._hub.complaints[:20]]

    async def restart(self, away_s: float) -> None:
        await self._hub.stop_listening()
        await asyncio.sleep(away_s)
        await self._hub.start_listening()

    async def flood(self, shell: str, log: str) -> None:
        """A shell in the one container writes as fast as it is read, the log of the other is asked for without end."""
        if self._shell is None or self._shell.over or self._shell.browser_closed is not None:
            self._shell = await self._hub.open_shell(self._host.id, shell)
            self._shell.on_output = self._forget_output
            await self._shell.send("seq 1000000000\n")
        if self._log_flood is None or self._log_flood.done():
            self._log_flood = self._spawn(self._read_log(log))

    async def rest(self) -> None:
        """Ends both."""
        if self._log_flood is not None:
            self._log_flood.cancel()
            await asyncio.wait({self._log_flood}, timeout=REQUEST_S)
        if self._shell is not None:
            with contextlib.suppress(LookupError):
                await self._shell.close()

    def _forget_output(self, _: bytes) -> None:
        assert self._shell is not None
        self._shell.output.clear()

    async def _read_log(self, container: str) -> None:
        while True:
            with contextlib.suppress(RequestFailed):
                self._host.breaker = CircuitBreaker()
                wanted = {"container_id": container, "tail": 10_000}
                await self._hub.request(self._host.id, "get_logs", wanted)
            await asyncio.sleep(PAUSE_S)

    async def _timed_ms(self, name: str) -> float:
        loop = asyncio.get_running_loop()
        self._host.breaker = CircuitBreaker()  # to the server it is a failure each time
        began_s = loop.time()
        try:
            await self._hub.request(self._host.id, name, timeout_s=REQUEST_S)
        except RequestFailed:
            # That there is no such command is an answer; silence and a lost connection are none.
            if self._host.link is None or loop.time() - began_s >= REQUEST_S:
                raise
        took_ms = (loop.time() - began_s) * 1e3
        await asyncio.sleep(PAUSE_S)
        return took_ms

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def _host(self) -> Host:
        for host in self._hub.hosts.values():
            return host
        raise LookupError("no host")

    def _points(self) -> int:
        history = self._hub.history
        return sum(
            len(history.of(host, container))
            for host in self._hub.hosts
            for container in history.fresh(host)
        )

    def _received_bytes(self) -> int:
        hosts = self._hub.hosts.values()
        links = [link for host in hosts for link in (host.link, host.stats_link)]
        return sum(_received_bytes(link) for link in links if link is not None)

    def _notice(self, entry: Entry) -> None:
        if entry.direction != "in":
            return
        self._frames += 1
        command = entry.frame.get("command")
        if command == "container_stats":
            container = (entry.frame.get("payload") or {}).get("container_id")
            self._pace.note(str(container), asyncio.get_running_loop().time())
        elif command == "container_event":
            key = received(entry.frame.get("payload") or {})
            if key is not None:
                late_ms = time.time_ns() / 1e6 - key.at.timestamp() * 1e3
                self._events.append((key, late_ms))


def _as_list(key: Key) -> list[Any]:
    return [key.container_id, key.action, round(key.at.timestamp() * 1e6)]


def _received_bytes(link: Link) -> int:
    peer = link.transport.get_extra_info("socket")
    info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    found: int = struct.unpack_from("<Q", info, _BYTES_RECEIVED_AT)[0]
    return found


class Sink:
    """Counts frames with a sample each, and forgets them."""

    def __init__(self) -> None:
        self.url = ""
        self.begin(0.0)

    def begin(self, now_s: float) -> None:
        self.frames = self.bytes = 0
        self.pace = Pace(now_s)

    def take(self, message: str | bytes, now_s: float) -> None:
        self.frames += 1
        self.bytes += len(message)
        self.pace.note(json.loads(message)["payload"]["container_id"], now_s)

    @contextlib.asynccontextmanager
    async def open(self, tls: ssl.SSLContext) -> AsyncIterator[None]:
        async with serve(self._take, "127.0.0.1", 0, ssl=tls, compression=None) as server:
            self.url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield

    async def _take(self, connection: ServerConnection) -> None:
        async for message in connection:
            self.take(message, asyncio.get_running_loop().time())


async def main(directory: Path) -> None:
    logging.getLogger("agent.hub").setLevel(logging.CRITICAL)  # `complaints` has it all
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    sink = Sink()
    reader = asyncio.StreamReader(_LINE_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with sink.open(tls), Hub(poll_s=POLL_S, tls=tls) as hub:
        server = Server(hub, sink)
        while line := await reader.readline():
            wanted = json.loads(line)
            work: Callable[..., Awaitable[Any]] = getattr(server, wanted.pop("do"))
            try:
                answer = {"result": await work(**wanted)}
            except (LookupError, RequestFailed, TimeoutError, OSError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        await server.rest()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
