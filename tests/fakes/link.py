"""A server and its WebSockets in memory, behind `Server` and `Link`. The test is the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from agent.core.failures import Failure
from agent.ports import DialFailed, Json, LinkClosed, LinkStalled

PATIENCE_S = 120.0
"""Virtual seconds a test waits for something to be sent before it fails."""


class FakeLink:
    """One WebSocket. What the agent does to it is public: `writes`, `pings_s`, `closing`, `is_aborted`.

    Attributes:
        writes: What each `send` was given, in order, once the peer took it.
        is_silent: No pong comes any more.
        is_stalled: Nothing is taken any more.
        takes_s: How long one `send` needs.
        pong_after_s: How long a pong needs.
        pong_outlives_link: A pong that is on its way comes, although the link ends meanwhile.
        ignores_close: The close frame is not answered.
    """

    def __init__(self) -> None:
        self.writes: list[list[bytes]] = []
        self.pings_s: list[float] = []
        self.closing: tuple[int, str] | None = None
        self.is_aborted = False
        self.is_silent = self.is_stalled = self.ignores_close = self.pong_outlives_link = False
        self.takes_s = self.pong_after_s = 0.0
        self._said: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._ended: asyncio.Future[LinkClosed] = asyncio.get_running_loop().create_future()
        self._changed = asyncio.Event()

    # The server's hand

    def say(self, message: Json | str | bytes) -> None:
        """Something the server sends."""
        self._said.put_nowait(json.dumps(message) if isinstance(message, dict) else message)

    def hang_up(self, code: int, reason: str = "") -> None:
        """The server closes the connection."""
        self._end(LinkClosed(code, reason))

    def cut(self) -> None:
        """The connection breaks."""
        self._end(LinkClosed(1006, ""))

    @property
    def is_open(self) -> bool:
        return not self._ended.done()

    @property
    def messages(self) -> list[Json]:
        """Everything that was taken, decoded, in order."""
        return [json.loads(message) for write in self.writes for message in write]

    @property
    def events(self) -> list[Json]:
        return [message for message in self.messages if message.get("type") == "event"]

    def replies(self, request_id: str) -> list[Json]:
        """The replies to a request, in either form."""
        return [m for m in self.messages if request_id in (m.get("id"), m.get("correlation_id"))]

    async def reply(self, request_id: str) -> Json:
        """Waits for the first reply to a request."""
        await self.until(lambda: self.replies(request_id))
        return self.replies(request_id)[0]

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until `condition` holds; it is looked at whenever something was sent, pinged or ended."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    # The port

    async def receive(self) -> str | bytes:
        if (message := await self._said.get()) is None:
            self._said.put_nowait(None)  # for whoever asks again
            raise self._closed()
        return message

    async def send(self, messages: Sequence[bytes], *, progress_s: float) -> None:
        if self.is_stalled or self.takes_s:
            delay_s = progress_s if self.is_stalled else self.takes_s
            await asyncio.wait({self._ended}, timeout=delay_s)
        if self._ended.done():
            raise self._closed()
        if self.is_stalled:
            self.abort()
            raise LinkStalled(1006, f"the server took nothing for {progress_s:.0f} s")
        self.writes.append(list(messages))
        self._changed.set()

    async def ping(self, *, deadline_s: float) -> None:
        self.pings_s.append(asyncio.get_running_loop().time())
        self._changed.set()
        if self.pong_outlives_link:
            await asyncio.sleep(self.pong_after_s)
            return
        is_late = self.is_silent or self.is_stalled
        if is_late or self.pong_after_s:
            await asyncio.wait({self._ended}, timeout=deadline_s if is_late else self.pong_after_s)
        if self._ended.done():
            raise self._closed()
        if is_late:
            self.abort()
            raise LinkStalled(1006, f"no pong within {deadline_s:.0f} s")

    async def close(self, code: int, reason: str, *, deadline_s: float) -> None:
        self.closing = (code, reason)
        if self.ignores_close:
            await asyncio.wait({self._ended}, timeout=deadline_s)
            self.abort()
        self._end(LinkClosed(code, reason, by_us=True))

    def abort(self) -> None:
        self.is_aborted = True
        self._end(LinkClosed(1006, ""))

    def _end(self, closed: LinkClosed) -> None:
        if not self._ended.done():
            self._ended.set_result(closed)
            self._said.put_nowait(None)
            self._changed.set()

    def _closed(self) -> LinkClosed:
        closed = self._ended.result()
        return LinkClosed(closed.code, closed.reason, by_us=closed.by_us)


Answer = Json | str | bytes | None
"""What the server says to a `register`; None for nothing at all."""


def accepted(host_id: str = "host-1", token: str = "agent-1") -> Json:  # noqa: S107  made up
    return {
        "type": "auth_success",
        "agent_id": token,
        "host_id": host_id,
        "permanent_token": token,
    }


def declined(error: str) -> Json:
    return {"type": "auth_error", "error": error}


class FakeServer:
    """Takes every dial and answers every `register`.

    Attributes:
        links: Every connection there ever was, newest last.
        dials_s: When it was dialled.
        registers: Every `register` message it got.
        answers: What it answers, one after the other; then `answer` for ever.
        unreachable: If set, why no dial succeeds.
    """

    def __init__(self) -> None:
        self.links: list[FakeLink] = []
        self.dials_s: list[float] = []
        self.registers: list[Json] = []
        self.answers: list[Answer] = []
        self.answer: Answer = accepted()
        self.unreachable: Failure | None = None

    @property
    def link(self) -> FakeLink:
        return self.links[-1]

    async def dial(self, *, deadline_s: float) -> FakeLink:
        self.dials_s.append(asyncio.get_running_loop().time())
        if self.unreachable is not None:
            raise DialFailed(self.unreachable)
        link = _Asked(self)
        self.links.append(link)
        return link

    def asked(self, register: Json) -> Answer:
        self.registers.append(register)
        return self.answers.pop(0) if self.answers else self.answer


class _Asked(FakeLink):
    """A link whose first message is a `register`, which the server answers."""

    def __init__(self, server: FakeServer) -> None:
        super().__init__()
        self._server = server

    async def send(self, messages: Sequence[bytes], *, progress_s: float) -> None:
        is_first = not self.writes
        await super().send(messages, progress_s=progress_s)
        if is_first:
            register: dict[str, Any] = json.loads(messages[0])
            if (answer := self._server.asked(register)) is not None:
                self.say(answer)
