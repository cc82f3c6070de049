"""Our end of the WebSocket against a plain server in the same loop: nothing that the server does can hold it up."""

from __future__ import annotations

import asyncio
import random
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.client import unix_connect
from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, ProtocolError
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from agent.adapters.websocket import (
    CONNECTION,
    FRAGMENT_BYTES,
    WebSocketLink,
    WebSocketServer,
    _BatchingConnection,
    tls_context,
)
from agent.core.failures import FailureKind
from agent.ports import DialFailed, LinkClosed, LinkStalled

LARGE = b"x" * (16 * 1024 * 1024)

Serve = Callable[[ServerConnection], Awaitable[None]]


def now_s() -> float:
    return asyncio.get_running_loop().time()


def options(**more: Any) -> dict[str, Any]:
    """How the server is set up: it does nothing of itself, and a test decides when nothing is read."""
    return {
        "compression": None,
        "ping_interval": None,
        "close_timeout": 1,
        "max_size": 2**25,
        "max_queue": None,
    } | more


@asynccontextmanager
async def linked(
    handler: Serve, *, max_incoming_bytes: int = 2**26
) -> AsyncIterator[WebSocketLink]:
    """A link that was dialled to a server that does `handler`."""
    async with serve(handler, "127.0.0.1", 0, **options()) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"ws://127.0.0.1:{port}/api/agent/ws"
        link = await WebSocketServer(url, max_incoming_bytes=max_incoming_bytes).dial(deadline_s=10)
        try:
            yield link
        finally:
            link.abort()


@asynccontextmanager
async def piped(handler: Serve) -> AsyncIterator[WebSocketLink]:
    """The same without TCP, which has timers of its own: a kernel's real time in the middle of a frozen one."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/s"
        async with unix_serve(handler, path, **options()):
            link = WebSocketLink(await unix_connect(path, "ws://localhost/", **CONNECTION))
            try:
                yield link
            finally:
                link.abort()


async def idle(connection: ServerConnection) -> None:
    """Reads and answers pings until the connection is closed."""
    async for _ in connection:
        pass


async def deaf(connection: ServerConnection) -> None:
    """Is there and reads nothing."""
    connection.transport.pause_reading()
    await connection.wait_closed()


# Sending


class CountedTransport(asyncio.Transport):
    """Takes everything at once and counts the writes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return False


async def test_many_messages_one_write() -> None:
    """A batch of 150 messages is one write to the transport, not 150."""
    connection = _BatchingConnection(ClientProtocol(parse_uri("ws://127.0.0.1/")))
    transport = CountedTransport()
    connection.connection_made(transport)
    connection.protocol.state = State.OPEN
    await WebSocketLink(connection).send([b"x" * 100] * 150, progress_s=10)
    assert [len(write) for write in transport.writes] == [150 * (6 + 100)]


async def test_a_batch_arrives() -> None:
    """Each message of a batch is a text message of its own, in order."""
    got: list[Any] = []

    async def take(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                got.append(await connection.recv())

    async with linked(take) as link:
        await link.send([f"é{n}".encode() for n in range(150)], progress_s=10)
        await link.ping(deadline_s=20)
        assert got == [f"é{n}" for n in range(150)]


async def test_a_batch_does_not_break_into_fragments() -> None:
    """Between the fragments of a message a frame of another would be the end of the connection."""
    connection = _BatchingConnection(ClientProtocol(parse_uri("ws://127.0.0.1/")))
    transport = CountedTransport()
    connection.connection_made(transport)
    connection.protocol.state = State.OPEN
    connection.protocol.send_text(b"the beginning", fin=False)
    connection.send_data()
    before = list(transport.writes)
    with pytest.raises(ProtocolError, match="expected a continuation frame"):
        await connection.send_batch([b"another"])
    assert transport.writes == before
    connection.protocol.send_continuation(b"", fin=True)
    await connection.send_batch([b"another"])


async def test_a_large_message_in_fragments() -> None:
    """Above 64 KiB a message goes in fragments and arrives as one text, characters cut in two included."""
    text = "é" * 500_000 + "x"
    sizes: list[int] = []
    got: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def take(connection: ServerConnection) -> None:
        fragments = [bytes(f) async for f in connection.recv_streaming(decode=False)]
        sizes.extend(map(len, fragments))
        got.set_result(b"".join(fragments).decode())

    async with linked(take) as link:
        await link.send([text.encode()], progress_s=10)
        assert await got == text
        assert sizes[:15] == [FRAGMENT_BYTES] * 15
        assert len(sizes) == 17  # the rest, and the empty one that ends it


async def test_up_to_64_kib_in_one_frame() -> None:
    """What is not larger than a fragment is not fragmented."""
    got: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def take(connection: ServerConnection) -> None:
        got.set_result(len([f async for f in connection.recv_streaming()]))

    async with linked(take) as link:
        await link.send([b"x" * FRAGMENT_BYTES], progress_s=10)
        assert await got == 1


async def test_a_pong_gets_in_between() -> None:
    """A ping of the server's in the middle of a large message is answered long before the message ends."""
    seen: list[int] = []

    async def take(connection: ServerConnection) -> None:
        fragments = 0
        async for _ in connection.recv_streaming(decode=False):
            fragments += 1
            if fragments == 1:
                pong = await connection.ping()
            if not seen and isinstance(pong, asyncio.Future) and pong.done():
                seen.append(fragments)
            if fragments % 4 == 0:
                await _one_gulp()
        seen.append(fragments)

    async with piped(take) as link:
        await link.send([LARGE], progress_s=10)
        await _until(lambda: len(seen) == 2)
    pong_after, fragments = seen
    assert fragments == 257
    assert pong_after < 64


async def test_our_ping_gets_in_between() -> None:
    """The link can be found alive while a large message is on its way."""

    async def sip(connection: ServerConnection) -> None:
        await _sip(connection, 20, every_s=1)
        await idle(connection)

    async with piped(sip) as link, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(link.send([LARGE], progress_s=10))
        await asyncio.sleep(2)
        await link.ping(deadline_s=20)
        assert now_s() < 10.0
        assert not sending.done()


# Peers that do not read


@pytest.mark.parametrize("messages", [[LARGE], [b"x" * 1000] * 2000], ids=["large", "many"])
async def test_a_peer_that_does_not_read(messages: list[bytes]) -> None:
    """After ten seconds without any progress the link is aborted, be it one large message or a great many small."""
    async with piped(deaf) as link:
        with pytest.raises(LinkStalled, match="took nothing for 10 s"):
            await link.send(messages, progress_s=10)
        assert 10.0 <= now_s() <= 12.0
        with pytest.raises(LinkClosed):
            await link.receive()


async def test_a_peer_that_stops_in_the_middle() -> None:
    """The ten seconds count from the last progress, in the middle of a message as well."""

    async def read_for_a_while(connection: ServerConnection) -> None:
        await _sip(connection, 5, every_s=8)
        await deaf(connection)

    async with piped(read_for_a_while) as link:
        with pytest.raises(LinkStalled):
            await link.send([LARGE], progress_s=10)
        assert 50.0 <= now_s() <= 52.0


@pytest.mark.parametrize("size", [3_000_000, FRAGMENT_BYTES], ids=["large", "many"])
async def test_a_peer_that_reads_slowly(size: int) -> None:
    """As long as it takes something every now and then, sending lasts as long as it takes."""
    messages = [b"x" * size] * (3_000_000 // size)

    async def sip(connection: ServerConnection) -> None:
        await _sip(connection, 8, every_s=8)
        await idle(connection)

    async with piped(sip) as link:
        await link.send(messages, progress_s=10)
        assert now_s() >= 24.0
        await link.ping(deadline_s=100)


async def test_a_pong_that_does_not_come() -> None:
    """Twenty seconds after the ping the link is aborted."""
    async with piped(deaf) as link:
        with pytest.raises(LinkStalled, match="no pong within 20 s"):
            await link.ping(deadline_s=20)
        assert now_s() == 20.0
        with pytest.raises(LinkClosed):
            await link.receive()


async def test_a_ping_that_cannot_be_sent() -> None:
    """The twenty seconds include getting the ping out: behind a peer that does not read it would wait for ever."""
    async with piped(deaf) as link, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(_closed(link.send([LARGE], progress_s=1000)))
        await asyncio.sleep(5)
        with pytest.raises(LinkStalled):
            await link.ping(deadline_s=20)
        assert now_s() == 25.0
        assert (await sending).code == 1006


async def test_a_link_that_breaks_while_waiting_for_a_pong() -> None:
    """Whoever waits for a pong hears of the end at once."""

    async def vanish(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await asyncio.sleep(3)
        connection.transport.abort()

    async with linked(vanish) as link:
        assert (await _closed(link.ping(deadline_s=20))).code == 1006
        assert now_s() == 3.0


# Closing


async def test_our_close() -> None:
    """Code and reason reach the server; whoever receives is told that it was us."""
    ended: list[tuple[int | None, str | None]] = []

    async def note(connection: ServerConnection) -> None:
        await connection.wait_closed()
        ended.append((connection.close_code, connection.close_reason))

    async with linked(note) as link:
        await link.close(1000, "bye", deadline_s=1.5)
        closed = await _closed(link.receive())
        assert (closed.code, closed.reason, closed.by_us) == (1000, "bye", True)
        assert (await _closed(link.send([b"{}"] * 3, progress_s=10))).by_us
        await _until(lambda: ended)
        assert ended == [(1000, "bye")]


async def test_a_close_that_is_not_answered() -> None:
    """At the deadline the link is aborted, and `close` returns without a word."""
    async with piped(deaf) as link:
        await link.close(1000, "", deadline_s=1.5)
        assert now_s() == 1.5
        await _closed(link.receive())


async def test_a_close_behind_a_blocked_message() -> None:
    """The same if the close frame cannot even be sent."""
    async with piped(deaf) as link, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(_closed(link.send([LARGE], progress_s=1000)))
        await asyncio.sleep(5)
        await link.close(1000, "", deadline_s=1.5)
        assert now_s() == 6.5
        await sending


async def test_closing_twice() -> None:
    """A second close has nothing to do and says nothing."""
    async with linked(idle) as link:
        await link.close(1000, "", deadline_s=1.5)
        await link.close(1000, "", deadline_s=1.5)
        link.abort()


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "New connection established"), (1012, ""), (1008, "no")]
)
async def test_closed_by_the_server(code: int, reason: str) -> None:
    """Its code and reason are told as they are: an eviction is known by them."""

    async def close(connection: ServerConnection) -> None:
        await connection.close(code, reason)

    async with linked(close) as link:
        closed = await _closed(link.receive())
        assert (closed.code, closed.reason, closed.by_us) == (code, reason, False)
        assert (await _closed(link.send([b"{}"], progress_s=10))).code == code
        assert (await _closed(link.ping(deadline_s=20))).code == code


async def test_a_connection_that_breaks() -> None:
    """Without a close frame the code is 1006."""

    async def vanish(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with linked(vanish) as link:
        closed = await _closed(link.receive())
        assert (closed.code, closed.reason, closed.by_us) == (1006, "", False)
        assert (await _closed(link.send([b"{}"] * 3, progress_s=10))).code == 1006


async def test_a_goodbye_without_hanging_up() -> None:
    """A server that says it closes and keeps the connection is hung up on after five seconds; its code still counts."""

    async def say_goodbye(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        protocol = ServerProtocol()
        while not (events := protocol.events_received()):
            protocol.receive_data(await reader.read(65_536))
        (request,) = events
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        protocol.send_close(1000, "New connection established")
        writer.write(b"".join(protocol.data_to_send()))
        await reader.read()  # until we hang up
        writer.close()

    async with await asyncio.start_server(say_goodbye, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        link = await WebSocketServer(f"ws://127.0.0.1:{port}/").dial(deadline_s=10)
        closed = await _closed(link.receive())
        assert now_s() == 5.0
        assert (closed.code, closed.reason) == (1000, "New connection established")
        assert not closed.by_us


# Receiving


async def test_receiving() -> None:
    """Text comes as text and a binary frame as bytes, in order, fragmented or not."""

    async def say(connection: ServerConnection) -> None:
        await connection.send("é")
        await connection.send(b"\x00\x01")
        await connection.send(["frag", "ments"])
        await idle(connection)

    async with linked(say) as link:
        assert [await link.receive() for _ in range(3)] == ["é", b"\x00\x01", "fragments"]


async def test_a_message_that_is_too_large() -> None:
    """Above the limit we close with 1009, and say that it was us."""
    ended: list[int | None] = []

    async def say(connection: ServerConnection) -> None:
        await connection.send("x" * 1000)
        await connection.send("x" * 1001)
        await connection.wait_closed()
        ended.append(connection.close_code)

    async with linked(say, max_incoming_bytes=1000) as link:
        assert await link.receive() == "x" * 1000
        closed = await _closed(link.receive())
        assert (closed.code, closed.by_us) == (1009, True)
        await _until(lambda: ended)
        assert ended == [1009]


async def test_what_was_said_before_the_close_is_heard() -> None:
    """Messages that came before the close frame are received before its code."""

    async def say(connection: ServerConnection) -> None:
        await connection.send("last words")
        await connection.close(1001)

    async with linked(say) as link:
        await asyncio.sleep(1)
        assert await link.receive() == "last words"
        assert (await _closed(link.receive())).code == 1001


# Dialling


async def _dial(url: str, deadline_s: float = 10.0) -> tuple[FailureKind, str]:
    with pytest.raises(DialFailed) as failed:
        await WebSocketServer(url).dial(deadline_s=deadline_s)
    return failed.value.failure.kind, failed.value.failure.text


async def test_nobody_there() -> None:
    """A closed port is a refused connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    kind, text = await _dial(f"ws://127.0.0.1:{port}/")
    assert (kind, text) == (FailureKind.TCP, f"127.0.0.1:{port} refused the connection")


async def test_a_server_that_says_nothing() -> None:
    """The deadline covers the whole of dialling."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert (await _dial(f"ws://127.0.0.1:{port}/"))[0] is FailureKind.TIMEOUT
        assert now_s() == 10.0


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno page", FailureKind.HTTP,
         "answered 404 Not Found: no page"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", FailureKind.HTTP, "answered 502 Bad Gateway"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", FailureKind.HANDSHAKE, "does not speak HTTP"),
        (b"", FailureKind.HANDSHAKE, "does not speak HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
         FailureKind.HANDSHAKE, "Sec-WebSocket-Accept"),
    ],
)  # fmt: skip
async def test_something_else_answers(said: bytes, kind: FailureKind, told: str) -> None:
    """Whatever it is that answers there, the failure says what it said."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        got_kind, text = await _dial(f"ws://127.0.0.1:{port}/")
        assert got_kind is kind
        assert told in text


async def test_plain_where_tls_is_wanted() -> None:
    """A server without TLS under a `wss://` URL is told as such."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await _dial(f"wss://127.0.0.1:{port}/"))[0] is FailureKind.TLS


@pytest.mark.parametrize("bearer", [None, "s3cret"])
async def test_a_token_at_the_door(bearer: str | None) -> None:
    """Shown only where one was given."""
    shown: list[str | None] = []

    async def look(connection: ServerConnection) -> None:
        assert connection.request is not None
        shown.append(connection.request.headers.get("Authorization"))

    async with serve(look, "127.0.0.1", 0, **options()) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        link = await WebSocketServer(f"ws://127.0.0.1:{port}/", bearer=bearer).dial(deadline_s=10)
        with pytest.raises(LinkClosed):
            await link.receive()
    assert shown == [bearer and f"Bearer {bearer}"]


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_turned_away_at_the_door(status: int) -> None:
    """The failure has the status, for a program, and nowhere the token."""

    def refuse(connection: ServerConnection, _: Request) -> Response:
        return connection.respond(status, "no")

    async with serve(idle, "127.0.0.1", 0, process_request=refuse, **options()) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(DialFailed) as failed:
            await WebSocketServer(f"ws://127.0.0.1:{port}/", bearer="s3cret").dial(deadline_s=10)
    failure = failed.value.failure
    assert (failure.kind, failure.status) == (FailureKind.HTTP, status)
    assert "s3cret" not in repr(failure)


async def test_a_name_that_is_none() -> None:
    """A host name that cannot be written in the DNS is a failed dial. It used to look like a defect of the agent."""
    kind, text = await _dial("ws://no..name/")
    assert (kind, text) == (FailureKind.DNS, "no..name:80 is not a host name")


def test_a_ca_that_cannot_be_read(tmp_path: Any) -> None:
    """A missing or broken CA file is told with its path, before anything is dialled."""
    broken = tmp_path / "ca.pem"
    for write in (None, "no certificate"):
        if write is not None:
            broken.write_text(write)
        with pytest.raises(DialFailed, match="DOCKMON_CA_CERT") as failed:
            tls_context(broken, skip_verify=False)
        assert failed.value.failure.kind is FailureKind.SETTINGS


async def test_random_sizes_arrive_whole() -> None:
    """Whatever the sizes around the limits, every message arrives as it was, in order."""
    rng = random.Random(7)
    sizes = [FRAGMENT_BYTES - 1, FRAGMENT_BYTES, FRAGMENT_BYTES + 1, 2 * FRAGMENT_BYTES, 0, 1]
    sizes += [rng.randrange(3 * FRAGMENT_BYTES) for _ in range(30)]
    got: list[int] = []

    async def take(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                got.append(len(await connection.recv()))

    async with linked(take) as link:
        for size in sizes:
            await link.send([b"x" * size], progress_s=10)
        await link.ping(deadline_s=20)
        assert got == sizes


async def _sip(connection: ServerConnection, times: int, *, every_s: float) -> None:
    """Reads a little every so often."""
    for _ in range(times):
        connection.transport.pause_reading()
        await asyncio.sleep(every_s)
        connection.transport.resume_reading()
        await _one_gulp()


async def _one_gulp() -> None:
    """A few turns of the loop: enough to read what the kernel holds once."""
    for _ in range(3):
        await asyncio.sleep(0)


async def _closed(work: Awaitable[object]) -> LinkClosed:
    with pytest.raises(LinkClosed) as closed:
        await work
    return closed.value


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.1)
