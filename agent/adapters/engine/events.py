"""The engine's event stream, read by a thread that does nothing else.

A reader that stalls is paid for by the whole host: the engine waits up to 0.1 s for it with every
event, then drops the event without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence

import requests

from agent.adapters.engine.errors import brief
from agent.adapters.engine.keepalive import keep_alive
from agent.adapters.engine.wire import Call, Wire
from agent.ports import EngineError, EventSink, Json

log = logging.getLogger(__name__)

OPEN_S = 15.0
"""The engine sends headers at once; one that takes longer hangs."""

WAITING_MAX = 10_000
"""Events that may wait for the loop: a quarter of a minute of the worst burst an engine can make."""


class Reader:
    """An open event stream; `agent.ports.EventReader` and `Engine.read_events` say what it promises.

    To be made and closed on the loop's thread.
    """

    def __init__(self, wire: Wire, filters: Mapping[str, Sequence[str]], sink: EventSink) -> None:
        self._wire, self._sink = wire, sink
        self._filters = {key: list(values) for key, values in filters.items()}
        self._loop = asyncio.get_running_loop()
        self._call = Call(OPEN_S)
        self._closed = (
            False  # the loop's thread alone writes it and decides by it what the sink hears
        )
        self._lock = threading.Lock()  # guards what follows
        self._waiting: list[Json] = []
        threading.Thread(target=self._run, name="engine-events", daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self._call.give_up()

    # On the loop's thread

    def _deliver(self) -> None:
        with self._lock:
            events, self._waiting = self._waiting, []
        for event in events:
            if self._closed:
                return
            try:
                self._sink.event(event)
            # One event that cannot be dealt with must not cost those behind it.
            except Exception:
                log.exception("an engine event could not be dealt with")

    def _end(self, reason: str) -> None:
        if not self._closed:
            self._closed = True
            self._sink.ended(reason)

    # On the reader's thread

    def _run(self) -> None:
        reason = "The engine ended its event stream"
        with contextlib.closing(self._wire):
            try:
                self._read()
            except EngineError as err:
                reason = str(err)
            # Whatever ends this thread, the sink has to hear of it, or nobody would open a new stream.
            except Exception as err:
                if not self._call.given_up:  # closing pulls the connection away under a read
                    log.exception("reading engine events failed")
                reason = brief(f"Reading engine events failed: {err!r}")
            self._wire.forget_version()
        self._on_loop(self._end, reason)

    def _read(self) -> None:
        params = {"since": "0", "filters": json.dumps(self._filters)}
        with self._wire.open(self._call, "GET", "/events", params) as response:
            self._take_deadline_off(response)
            self._follow(response)

    def _take_deadline_off(self, response: requests.Response) -> None:
        connection = response.raw.connection
        # Without a socket the stream ends with its connection: none of a stock engine; the deadline stays.
        if connection is not None and (sock := connection.sock) is not None:
            sock.settimeout(None)
            keep_alive(sock)

    def _follow(self, response: requests.Response) -> None:
        has_warned = False
        for line in self._wire.lines(response, self._call):
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if isinstance(event, dict):
                self._hand_over(event)
            elif not has_warned:
                has_warned = True
                log.warning("the engine sent an event that is no JSON object: %.200r", line)

    def _hand_over(self, event: Json) -> None:
        with self._lock:
            if len(self._waiting) >= WAITING_MAX:
                raise _Overran(f"{WAITING_MAX} engine events overran the agent, which took none")
            self._waiting.append(event)
            is_first = len(self._waiting) == 1
        if is_first:  # the others of a burst go with it
            self._on_loop(self._deliver)

    def _on_loop(self, function: Callable[..., None], *args: object) -> None:
        # The loop is closed when the agent is at its end.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)


class _Overran(EngineError):
    """The loop did not keep up. What waits is still delivered, then the stream is over."""
