"""Terminals against an engine that refuses, stalls, babbles and breaks off."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from fakes.scripted_engine import (
    Exchange,
    Script,
    ScriptedEngine,
    holding,
    replying,
    sending,
)

from agent.adapters.engine import DockerEngine, Endpoint
from agent.adapters.engine.hijack import PIECE_BYTES
from agent.adapters.engine.terminal import GRACE_S
from agent.ports import (
    Conflict,
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    Json,
    NotFound,
    Terminal,
)

pytestmark = pytest.mark.real_time

DEADLINE_S = 10.0
SOON_S = 0.1
WEB, EXEC = "aaaaaaaaaaaa", "e" * 64
START = f"/exec/{EXEC}/start"
UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)


class Sink:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.reasons: list[str] = []
        self._heard = asyncio.Event()

    @property
    def text(self) -> bytes:
        return b"".join(self.pieces)

    def data(self, data: bytes) -> None:
        self.pieces.append(data)
        self._heard.set()

    def ended(self, reason: str) -> None:
        self.reasons.append(reason)
        self._heard.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._heard.clear()
                await self._heard.wait()

    async def until_ended(self) -> str:
        await self.until(lambda: bool(self.reasons))
        [reason] = self.reasons
        return reason


@pytest.fixture
def scripted() -> Iterator[ScriptedEngine]:
    with ScriptedEngine() as scripted:
        scripted.on("POST", f"/containers/{WEB}/exec", replying(201, {"Id": EXEC}))
        yield scripted


@pytest.fixture
async def engine(scripted: ScriptedEngine) -> AsyncIterator[DockerEngine]:
    engine = DockerEngine(Endpoint.parse(scripted.address))
    yield engine
    await engine.close()


async def open_terminal(
    engine: DockerEngine, sink: Sink, *, container: str = WEB, deadline_s: float = DEADLINE_S
) -> Terminal:
    return await engine.open_terminal(
        container, ["sh", "-l"], {"TERM": "vt100"}, sink, deadline_s=deadline_s
    )


def process(*pieces: bytes, then: Script = lambda exchange: None) -> Script:
    """One that starts and writes; `then` may do more before the connection ends."""

    def run(exchange: Exchange) -> None:
        exchange.send(UPGRADED)
        for piece in pieces:
            exchange.send(piece)
        then(exchange)
        exchange.hang_up()

    return run


async def until(event: threading.Event) -> None:
    assert await asyncio.get_running_loop().run_in_executor(None, event.wait, DEADLINE_S)


# --- Opening


async def test_what_is_asked(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """A TTY with all streams, and the command behind a shell that tells its process ID first."""
    scripted.on("POST", START, process(b"17\r\n$ "))
    sink = Sink()
    await open_terminal(engine, sink)
    await sink.until_ended()
    create, start = (asked for asked in scripted.asked if asked.method == "POST")
    assert create.body == {
        "Cmd": ["/bin/sh", "-c", 'echo $$; exec "$0" "$@"', "sh", "-l"],
        "Env": ["TERM=vt100"],
        "Tty": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
    }
    assert (start.api, start.body) == ("1.41", {"Detach": False, "Tty": True})
    assert sink.text == b"$ "


@pytest.mark.parametrize(
    "pieces",
    [
        [UPGRADED + b"17\r\n$ "],
        [UPGRADED[:20], UPGRADED[20:-2], UPGRADED[-2:] + b"1", b"7\r", b"\n", b"$", b" "],
        [
            b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n",
            b"17\n$ ",
        ],
    ],
)
async def test_however_the_answer_is_cut(
    scripted: ScriptedEngine, engine: DockerEngine, pieces: list[bytes]
) -> None:
    """Behind its first line everything is the terminal's; a proxy that knows no upgrades answers 200."""

    def answer(exchange: Exchange) -> None:
        for piece in pieces:
            exchange.send(piece)
        exchange.hang_up()

    scripted.on("POST", START, answer)
    sink = Sink()
    await open_terminal(engine, sink)
    assert await sink.until_ended() == ""
    assert sink.text == b"$ "


@pytest.mark.parametrize(
    ("script", "kind", "text"),
    [
        (replying(404, {"message": "No such exec instance"}), NotFound, "No such exec instance"),
        (replying(409, {"message": "Container is paused"}), Conflict, "Container is paused"),
        (replying(403, "forbidden by policy"), EngineRefused, "forbidden by policy"),
        (replying(200, "fine"), EngineRefused, "What answers is no Docker engine: .*"),
        (sending(b"220 smtp ready\r\n\r\n"), EngineRefused, "What answers is no Docker engine: .*"),
        (sending(b"x" * 20_000), EngineRefused, "What answers is no Docker engine: .*"),
        (sending(b"HTTP/1.1 101 UPG"), EngineUnreachable, ".* broke: .*closed without an answer"),
        (
            process(b'exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown\r\n'),
            EngineRefused,
            "The container has no /bin/sh: there is no shell to open",
        ),
        (
            replying(400, {"message": 'exec: "/bin/sh": executable file not found in $PATH'}),
            EngineRefused,
            "The container has no /bin/sh: there is no shell to open",
        ),
        (
            process(b"OCI runtime exec failed: cannot enter\r\n"),
            EngineRefused,
            "OCI runtime exec failed: cannot enter",
        ),
        (process(b"no line"), EngineRefused, "no line"),
        (process(b"x" * 5000), EngineRefused, "x+…"),
        (process(), EngineRefused, "The process ended as soon as it was started"),
    ],
    ids=itertools.count(),
)
async def test_what_is_refused(
    scripted: ScriptedEngine,
    engine: DockerEngine,
    script: Script,
    kind: type[EngineError],
    text: str,
) -> None:
    """With the engine's own words, or ours where it has none that help."""
    scripted.on("POST", START, script)
    sink = Sink()
    with pytest.raises(kind, match=f"^{text}$"):
        await open_terminal(engine, sink)
    assert (sink.pieces, sink.reasons) == ([], [])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (replying(404, {"message": f"No such container: {WEB}"}), NotFound),
        (replying(409, {"message": f"Container {WEB} is not running"}), Conflict),
        (replying(201, {}), EngineRefused),
    ],
)
async def test_no_exec_instance(
    scripted: ScriptedEngine, engine: DockerEngine, answer: Script, kind: type[EngineError]
) -> None:
    """Then nothing is started."""
    scripted.on("POST", f"/containers/{WEB}/exec", answer)
    with pytest.raises(kind):
        await open_terminal(engine, Sink())
    assert START not in scripted.paths()


async def test_a_name_that_is_none(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """It never becomes a part of a path."""
    with pytest.raises(NotFound):
        await open_terminal(engine, Sink(), container="../exec")
    assert scripted.asked == []


@pytest.mark.parametrize("script", [holding, process(b"1", then=Exchange.hold)])
async def test_an_engine_that_hangs(
    scripted: ScriptedEngine, engine: DockerEngine, script: Script
) -> None:
    """It is given up at the deadline, whether it has answered or not; that is the time which is told."""
    scripted.on("POST", START, script)
    with pytest.raises(EngineTimeout, match=f"did not answer within {SOON_S:g} s"):
        await open_terminal(engine, Sink(), deadline_s=SOON_S)


async def test_nobody_there(engine: DockerEngine, scripted: ScriptedEngine) -> None:
    """The engine goes away between the two requests."""

    def create(exchange: Exchange) -> None:
        scripted.socket_path.unlink()
        exchange.reply(201, {"Id": EXEC})

    scripted.on("POST", f"/containers/{WEB}/exec", create)
    with pytest.raises(EngineUnreachable, match="There is no socket"):
        await open_terminal(engine, Sink())


async def test_over_the_network() -> None:
    """An engine behind a port is asked in the same way."""
    with ScriptedEngine(tcp=True) as scripted:
        scripted.on("POST", f"/containers/{WEB}/exec", replying(201, {"Id": EXEC}))
        scripted.on("POST", START, process(b"17\r\n$ "))
        engine, sink = DockerEngine(Endpoint.parse(scripted.address)), Sink()
        await open_terminal(engine, sink)
        assert await sink.until_ended() == ""
        await engine.close()
    assert sink.text == b"$ "
    assert f"tcp://{scripted.asked[-1].headers['host']}" == scripted.address


# --- Both streams


async def test_output_comes_in_pieces(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """At most 16 KiB a call, every byte in its place."""
    flood = bytes(range(256)) * 4096
    scripted.on("POST", START, process(b"17\r\n", flood))
    sink = Sink()
    await open_terminal(engine, sink)
    assert await sink.until_ended() == ""
    assert sink.text == flood
    assert max(map(len, sink.pieces)) <= PIECE_BYTES


async def test_a_reader_that_pauses(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """The engine has to wait: no more than its socket's buffer leaves it, until the reader goes on."""
    total_bytes, sent_bytes = 32 * 1024 * 1024, 0
    stuck = threading.Event()

    def flood(exchange: Exchange) -> None:
        nonlocal sent_bytes
        exchange.connection.settimeout(SOON_S)
        piece = memoryview(bytes(64 * 1024))
        while sent_bytes < total_bytes:
            try:
                sent_bytes += exchange.connection.send(piece[: total_bytes - sent_bytes])
            except TimeoutError:
                stuck.set()

    scripted.on("POST", START, process(b"17\r\n", then=flood))
    sink = Sink()
    terminal = await open_terminal(engine, sink)
    terminal.pause()
    terminal.pause()
    await until(stuck)
    assert sent_bytes < 4 * 1024 * 1024
    terminal.resume()
    terminal.resume()
    assert await sink.until_ended() == ""
    assert len(sink.text) == total_bytes


async def test_input(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """Arrives as it was written."""
    arrived: list[bytes] = []
    done = threading.Event()

    def read(exchange: Exchange) -> None:
        arrived.append(exchange.connection.recv(7, socket.MSG_WAITALL))
        done.set()

    scripted.on("POST", START, process(b"17\r\n", then=read))
    terminal = await open_terminal(engine, Sink())
    await terminal.write(b"ls\r", deadline_s=DEADLINE_S)
    await terminal.write(b"\x00\xff\r\n", deadline_s=DEADLINE_S)
    await until(done)
    assert arrived == [b"ls\r\x00\xff\r\n"]


async def test_input_that_nobody_reads(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """A write waits for room, and not for ever."""
    scripted.on("POST", START, process(b"17\r\n", then=Exchange.hold))
    terminal = await open_terminal(engine, Sink())
    with pytest.raises(EngineTimeout, match=r"took no input for 0\.1 s"):
        await terminal.write(bytes(8 * 1024 * 1024), deadline_s=SOON_S)
    terminal.close()
    with pytest.raises(EngineUnreachable):
        await terminal.write(b"x", deadline_s=DEADLINE_S)


async def test_a_write_while_the_process_ends(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """Whoever waits for room is told that there will be none, after the sink has heard of the end."""
    scripted.on("POST", START, process(b"17\r\n", then=Exchange.hold))
    sink = Sink()
    terminal = await open_terminal(engine, sink)
    asyncio.get_running_loop().call_later(SOON_S, scripted.let_go.set)
    with pytest.raises(EngineUnreachable):
        await terminal.write(bytes(8 * 1024 * 1024), deadline_s=DEADLINE_S)
    assert len(sink.reasons) == 1


async def test_the_connection_breaks(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """The sink hears why, once."""

    def reset(exchange: Exchange) -> None:
        # Closing with input unread resets the connection.
        exchange.connection.recv(1)

    scripted.on("POST", START, process(b"17\r\n", then=reset))
    sink = Sink()
    terminal = await open_terminal(engine, sink)
    await terminal.write(b"two", deadline_s=DEADLINE_S)
    assert "broke: Connection reset by peer" in await sink.until_ended()
    terminal.close()


async def test_after_close(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """The connection is dropped at once, and the sink hears nothing any more."""
    scripted.on("POST", START, process(b"17\r\n", then=Exchange.wait_for_hang_up))
    sink = Sink()
    terminal = await open_terminal(engine, sink)
    terminal.close()
    terminal.close()
    terminal.pause()
    terminal.resume()
    await scripted.until_hung_up()
    assert (sink.pieces, sink.reasons) == ([], [])


async def test_the_size(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """`w` are columns, `h` are rows."""
    scripted.on("POST", START, process(b"17\r\n", then=Exchange.hold))
    scripted.on("POST", f"/exec/{EXEC}/resize", replying(200, ""))
    terminal = await open_terminal(engine, Sink())
    await terminal.resize(132, 50, deadline_s=DEADLINE_S)
    assert scripted.asked[-1].query == {"w": "132", "h": "50"}


# --- Hanging up


class Process:
    """What the engine tells of it, and what it does when it is sent a signal."""

    def __init__(self, scripted: ScriptedEngine, *, dies_of: str) -> None:
        self.is_running, self.signals, self._dies_of = True, list[str](), dies_of
        scripted.on("POST", START, process(b"17\r\n", then=Exchange.hold))
        scripted.on("GET", f"/exec/{EXEC}/json", lambda x: x.reply(200, self._state()))
        self._scripted = scripted

    def can_be_signalled(self) -> None:
        """From now on, what is run in the container is not the process but what ends it."""
        self._scripted.on("POST", f"/containers/{WEB}/exec", self._create)
        self._scripted.on("POST", "/exec/kill/start", self._start)

    def _state(self) -> Json:
        code = None if self.is_running else 129
        return {"ID": EXEC, "Running": self.is_running, "ExitCode": code}

    def _create(self, exchange: Exchange) -> None:
        self.signals.append(exchange.asked.body["Cmd"][-1])
        exchange.reply(201, {"Id": "kill"})

    def _start(self, exchange: Exchange) -> None:
        assert exchange.asked.body == {"Detach": True, "Tty": False}
        if self._dies_of and self._dies_of in self.signals[-1]:
            self.is_running = False
        exchange.reply(200, "")


@pytest.mark.parametrize(
    ("dies_of", "signals"),
    [("HUP", ["kill -HUP -17"]), ("KILL", ["kill -HUP -17", "kill -KILL -17"])],
)
async def test_hanging_up(
    scripted: ScriptedEngine, engine: DockerEngine, dies_of: str, signals: list[str]
) -> None:
    """The whole process group is told to go, and killed if it does not."""
    process = Process(scripted, dies_of=dies_of)
    terminal = await open_terminal(engine, Sink())
    process.can_be_signalled()
    assert await terminal.hang_up(deadline_s=DEADLINE_S) == 129
    assert process.signals == signals


async def test_hanging_up_in_the_middle_of_a_flood(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """Output is read on and dropped, for an engine that is stuck with it sees no process end."""
    process = Process(scripted, dies_of="HUP")
    has_written = threading.Event()

    def flood(exchange: Exchange) -> None:
        exchange.send(UPGRADED + b"17\r\n")
        exchange.send(bytes(8 * 1024 * 1024))
        has_written.set()
        exchange.hold()

    scripted.on("POST", START, flood)
    sink = Sink()
    terminal = await open_terminal(engine, sink)
    terminal.pause()
    process.can_be_signalled()
    heard = len(sink.text)
    assert await terminal.hang_up(deadline_s=DEADLINE_S) == 129
    await until(has_written)
    scripted.let_go.set()
    terminal.close()
    assert len(sink.text) == heard
    assert sink.reasons == []


async def test_hanging_up_that_is_cut_short(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """The next time goes on from there: a process that did not heed the first signal gets the second at once."""
    process = Process(scripted, dies_of="KILL")
    terminal = await open_terminal(engine, Sink())
    process.can_be_signalled()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(GRACE_S / 2):
            await terminal.hang_up(deadline_s=DEADLINE_S)
    assert process.signals == ["kill -HUP -17"]
    assert await terminal.hang_up(deadline_s=DEADLINE_S) == 129
    assert process.signals == ["kill -HUP -17", "kill -KILL -17"]


async def test_hanging_up_on_what_does_not_end(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """That is said."""
    process = Process(scripted, dies_of="")
    terminal = await open_terminal(engine, Sink())
    process.can_be_signalled()
    with pytest.raises(EngineTimeout, match="The process 17 in the container does not end"):
        await terminal.hang_up(deadline_s=DEADLINE_S)


async def test_hanging_up_on_what_has_ended(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """Nothing is sent: the ID may be another's by now."""
    process = Process(scripted, dies_of="HUP")
    terminal = await open_terminal(engine, Sink())
    process.can_be_signalled()
    process.is_running = False
    assert await terminal.hang_up(deadline_s=DEADLINE_S) == 129
    assert process.signals == []


async def test_hanging_up_when_the_container_has_gone(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """All in it has ended; how, nobody knows."""
    Process(scripted, dies_of="")
    terminal = await open_terminal(engine, Sink())
    scripted.on("GET", f"/exec/{EXEC}/json", replying(404, {"message": "No such exec instance"}))
    assert await terminal.hang_up(deadline_s=DEADLINE_S) is None


async def test_hanging_up_while_the_container_stops(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """Nothing can be run in it any more, and nothing runs."""
    process = Process(scripted, dies_of="")
    terminal = await open_terminal(engine, Sink())

    def refuse(exchange: Exchange) -> None:
        process.is_running = False
        exchange.reply(409, {"message": f"Container {WEB} is not running"})

    scripted.on("POST", f"/containers/{WEB}/exec", refuse)
    assert await terminal.hang_up(deadline_s=DEADLINE_S) == 129


async def test_hanging_up_in_a_container_that_is_paused(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """The process goes on, and that is said."""
    Process(scripted, dies_of="")
    terminal = await open_terminal(engine, Sink())
    scripted.on("POST", f"/containers/{WEB}/exec", replying(409, {"message": "paused"}))
    with pytest.raises(Conflict, match="paused"):
        await terminal.hang_up(deadline_s=DEADLINE_S)
