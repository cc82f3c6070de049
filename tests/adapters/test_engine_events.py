"""The event reader against streams that babble, break, overrun and never end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from fakes.scripted_engine import (
    Exchange,
    Script,
    ScriptedEngine,
    replying,
    sending,
    streaming,
)

from agent.adapters.engine import DockerEngine, Endpoint
from agent.adapters.engine.events import WAITING_MAX
from agent.ports import Json

pytestmark = pytest.mark.real_time

DEADLINE_S = 10.0


class Sink:
    """Notes what it hears, and fails on what it was told to fail on."""

    def __init__(self, bad: Json | None = None) -> None:
        self.events: list[Json] = []
        self.reasons: list[str] = []
        self._bad = bad
        self._changed = asyncio.Condition()
        self._loop_thread = threading.get_ident()

    def event(self, event: Json) -> None:
        assert threading.get_ident() == self._loop_thread
        if event == self._bad:
            raise ValueError("cannot be dealt with")
        self.events.append(event)
        self._tell()

    def ended(self, reason: str) -> None:
        assert threading.get_ident() == self._loop_thread
        self.reasons.append(reason)
        self._tell()

    def _tell(self) -> None:
        asyncio.ensure_future(self._notify())  # noqa: RUF006, TID251  a test's own; ends at once

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, *, events: int = 0, ended: bool = False) -> None:
        """Returns when it has heard of so many events, or of the end."""
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(
                lambda: len(self.events) >= events and len(self.reasons) >= ended
            )


@pytest.fixture
def scripted() -> Iterator[ScriptedEngine]:
    with ScriptedEngine() as scripted:
        yield scripted


@pytest.fixture
async def engine(scripted: ScriptedEngine) -> AsyncIterator[DockerEngine]:
    engine = DockerEngine(Endpoint.parse(scripted.address))
    try:
        yield engine
    finally:
        await engine.close()


async def until(event: threading.Event) -> None:
    assert await asyncio.get_running_loop().run_in_executor(None, event.wait, DEADLINE_S)


def reader_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "engine-events"]


async def until_reader_ends() -> None:
    """Returns when no reader's thread is left."""
    for thread in reader_threads():
        await asyncio.get_running_loop().run_in_executor(None, thread.join, DEADLINE_S)
        assert not thread.is_alive()


def lines(*events: object) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


async def test_the_whole_ring_is_asked_for(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """`since=0`, with the filters as the Engine API wants them."""
    scripted.on("GET", "/events", streaming())
    sink = Sink()
    engine.read_events({"type": ("container",), "event": ["die", "start"]}, sink)
    await sink.until(ended=True)
    query = scripted.asked[-1].query
    assert (query["since"], json.loads(query["filters"])) == (
        "0",
        {"type": ["container"], "event": ["die", "start"]},
    )


async def test_events_arrive_in_order_however_the_stream_is_cut(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """One in several pieces, several in one piece, with blank lines and carriage returns between."""
    text = lines({"n": 1}) + b"\r\n\r\n" + lines({"n": 2}, {"n": 3}, {"n": 4})
    scripted.on("GET", "/events", streaming(text[:5], text[5:20], text[20:]))
    sink = Sink()
    engine.read_events({}, sink)
    await sink.until(ended=True)
    assert sink.events == [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]
    assert sink.reasons == ["The engine ended its event stream"]


async def test_a_bad_line_does_not_end_the_stream(
    scripted: ScriptedEngine, engine: DockerEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """Lines that are no JSON object are left out; the first is in the log, the others are not."""
    text = lines({"n": 1}) + b"{half\n" + b"\xff\xfe\n" + lines([1], {"n": 2})
    scripted.on("GET", "/events", streaming(text))
    sink = Sink()
    with caplog.at_level(logging.WARNING, "agent.adapters.engine"):
        engine.read_events({}, sink)
        await sink.until(ended=True)
    assert sink.events == [{"n": 1}, {"n": 2}]
    assert ["half" in record.getMessage() for record in caplog.records] == [True]


async def test_an_event_the_sink_cannot_take_costs_no_other(
    scripted: ScriptedEngine, engine: DockerEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is logged, and what came in the same burst is delivered."""
    scripted.on("GET", "/events", streaming(lines({"n": 1}, {"n": 2}, {"n": 3})))
    sink = Sink(bad={"n": 2})
    engine.read_events({}, sink)
    await sink.until(ended=True)
    assert sink.events == [{"n": 1}, {"n": 3}]
    assert "cannot be dealt with" in caplog.text


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (streaming(), "The engine ended its event stream"),
        (sending(b""), "broke"),
        (sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "broke"),
        (sending(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), "ended its event stream"),
        (replying(500, {"message": "no events today"}), "no events today"),
        (streaming(*[b"x" * 65536] * 100), "a line without an end"),
    ],
    ids=["ended", "no answer", "cut off", "ended with its connection", "refused", "no events"],
)
async def test_every_end_is_told_once_with_its_reason(
    scripted: ScriptedEngine, engine: DockerEngine, script: Script, words: str
) -> None:
    """Whether it ended well, broke off or never began."""
    scripted.on("GET", "/events", script)
    sink = Sink()
    engine.read_events({}, sink)
    await sink.until(ended=True)
    await until_reader_ends()
    assert len(sink.reasons) == 1
    assert words in sink.reasons[0]


async def test_an_engine_that_is_down_is_an_end(tmp_path: object) -> None:
    """Opening never raises: the sink hears why there is no stream."""
    engine = DockerEngine(Endpoint.parse(f"unix://{tmp_path}/none"))
    sink = Sink()
    engine.read_events({}, sink)
    await sink.until(ended=True)
    assert sink.reasons[0].startswith("There is no socket")
    await engine.close()


async def test_a_stream_without_chunks_is_read_as_it_comes(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """A proxy may send it plain; an event does not wait for others to fill a buffer."""

    def plain(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n" + lines({"n": 1}))
        exchange.hold()
        exchange.hang_up()

    scripted.on("GET", "/events", plain)
    sink = Sink()
    engine.read_events({}, sink)
    await sink.until(events=1)
    assert sink.reasons == []


async def test_a_version_is_negotiated_anew_after_a_stream_ended(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """A stream that ends is how one notices that an engine was replaced."""
    scripted.on("GET", "/events", streaming())
    scripted.on("GET", "/containers/json", replying(200, []))
    sink = Sink()
    engine.read_events({}, sink)
    await sink.until(ended=True)
    scripted.on("GET", "/version", replying(200, {"Version": "25", "ApiVersion": "1.44"}))
    await engine.containers(deadline_s=DEADLINE_S)
    assert scripted.asked[-1].api == "1.44"


# --- Closing


def silent_after_one(exchange: Exchange) -> None:
    """One event, then nothing, as on a quiet host."""
    exchange.begin_stream()
    exchange.chunk(lines({"n": 1}))
    exchange.wait_for_hang_up()


async def test_closing_ends_a_silent_stream(scripted: ScriptedEngine, engine: DockerEngine) -> None:
    """The thread sits in a read without a deadline; closing wakes it, and the sink hears no more."""
    scripted.on("GET", "/events", silent_after_one)
    sink = Sink()
    reader = engine.read_events({}, sink)
    await sink.until(events=1)
    reader.close()
    reader.close()
    await until(scripted.hung_up)
    await until_reader_ends()
    await asyncio.sleep(0)  # what the thread left for the loop
    assert (sink.events, sink.reasons) == ([{"n": 1}], [])


async def test_closing_over_the_network(tmp_path: object) -> None:
    """The same on a TCP connection."""
    with ScriptedEngine(tcp=True) as scripted:
        scripted.on("GET", "/events", silent_after_one)
        engine = DockerEngine(Endpoint.parse(scripted.address))
        sink = Sink()
        engine.read_events({}, sink)
        await sink.until(events=1)
        await engine.close()
        await until(scripted.hung_up)
        await until_reader_ends()
        assert sink.reasons == []


async def test_what_waits_for_the_loop_when_it_is_closed_is_not_delivered(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """The thread had handed over events and the end before; the sink hears none of it after closing."""
    scripted.on("GET", "/events", streaming(lines({"n": 1})))
    sink = Sink()
    reader = engine.read_events({}, sink)
    for thread in reader_threads():
        thread.join(DEADLINE_S)  # the loop is blocked meanwhile
    reader.close()
    await asyncio.sleep(0)
    assert (sink.events, sink.reasons) == ([], [])


async def test_closing_before_the_engine_answers(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """Closed while it was opening, it ends as soon as it is open, and is never heard of."""
    scripted.on("GET", "/version", held_then_versioned)
    scripted.on("GET", "/events", silent_after_one)
    sink = Sink()
    reader = engine.read_events({}, sink)
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, scripted.held.acquire, True, DEADLINE_S)
    reader.close()
    scripted.let_go.set()
    await until_reader_ends()
    await asyncio.sleep(0)
    assert (sink.events, sink.reasons) == ([], [])


def held_then_versioned(exchange: Exchange) -> None:
    exchange.hold()
    exchange.reply(200, {"Version": "20.10", "ApiVersion": "1.41"})


async def test_closing_before_the_stream_begins(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """The engine took the request and sent nothing yet: closing is at once, and the stream ends when it begins."""

    def late(exchange: Exchange) -> None:
        exchange.hold()
        exchange.begin_stream()
        exchange.wait_for_hang_up()

    scripted.on("GET", "/events", late)
    sink = Sink()
    reader = engine.read_events({}, sink)
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, scripted.held.acquire, True, DEADLINE_S)
    reader.close()
    scripted.let_go.set()
    await until(scripted.hung_up)
    await until_reader_ends()
    assert sink.reasons == []


# --- A loop that does not keep up


def flooding(count: int) -> Script:
    """So many events as fast as the connection takes them, then silence."""

    def run(exchange: Exchange) -> None:
        exchange.begin_stream()
        with contextlib.suppress(OSError):
            for start in range(0, count, 100):
                exchange.chunk(lines(*({"n": n} for n in range(start, min(start + 100, count)))))
            exchange.engine.held.release()
        exchange.wait_for_hang_up()

    return run


async def test_a_burst_waits_for_a_loop_that_is_busy(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """The reader goes on reading; all events come, in order, when the loop is back."""
    scripted.on("GET", "/events", flooding(WAITING_MAX))
    sink = Sink()
    engine.read_events({}, sink)
    assert scripted.held.acquire(timeout=DEADLINE_S)  # the loop is blocked meanwhile
    await sink.until(events=WAITING_MAX)
    assert [event["n"] for event in sink.events] == list(range(WAITING_MAX))
    assert sink.reasons == []


async def test_a_loop_that_is_busy_for_too_long_is_overrun(
    scripted: ScriptedEngine, engine: DockerEngine
) -> None:
    """More than may wait: the stream is given up, and the sink hears so after what had waited."""
    scripted.on("GET", "/events", flooding(3 * WAITING_MAX))
    sink = Sink()
    engine.read_events({}, sink)
    assert scripted.hung_up.wait(DEADLINE_S)  # the loop is blocked meanwhile
    await sink.until(ended=True)
    assert len(sink.events) == WAITING_MAX
    assert sink.reasons == [f"{WAITING_MAX} engine events overran the agent, which took none"]
