"""Terminals in a browser, each with a shell in a container behind it."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agent.hub.host import Host
from agent.hub.shapes import Dropped, ShellData, read
from agent.hub.waiting import Signal

MAX_REASON_BYTES = 123
GOING_AWAY = 1001
INTERNAL_ERROR = 1011

Send = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""Sends a frame to the agent of a host. LookupError: it is not connected."""


class Shell:
    """A terminal as its user has it.

    `output` is what it was sent so far. `over` is set once the agent said `closed` or `error`, `error` what it
    said then. `browser_closed` is the code and reason that the browser's socket was closed with; None: it is
    open, which it stays when the agent says `closed`.
    """

    def __init__(self, host_id: str, container_id: str, session_id: str, send: Send) -> None:
        self.host_id, self.container_id, self.session_id = host_id, container_id, session_id
        self.output = bytearray()
        self.started = False
        self.over = False
        self.error: str | None = None
        self.browser_closed: tuple[int, str] | None = None
        self.on_output: Callable[[bytes], None] = lambda _: None
        self._send = send
        self._in_order = asyncio.Lock()
        self._changed = Signal()

    @property
    def text(self) -> str:
        """The output so far, what is no UTF-8 replaced."""
        return self.output.decode(errors="replace")

    async def send(self, data: bytes | str) -> None:
        """What the user types. Dropped once the session is over."""
        raw = data.encode() if isinstance(data, str) else data
        await self._tell("data", data=base64.b64encode(raw).decode())

    async def resize(self, cols: int, rows: int) -> None:
        await self._tell("resize", cols=cols, rows=rows)

    async def close(self) -> None:
        """The user closes the window; the agent is told unless the session is over."""
        await self._tell("close")
        self.end_browser(1000, "")

    async def shows(self, text: str, timeout_s: float) -> str:
        """All of the output, as soon as `text` is in it.

        Raises:
            TimeoutError: It did not come in time; the message is what came instead.
        """
        try:
            await self._changed.until(lambda: text in self.text, timeout_s)
        except TimeoutError:
            raise TimeoutError(f"{text!r} is not in {self.text[-1000:]!r}") from None
        return self.text

    async def ended(self, timeout_s: float) -> None:
        """Returns once the agent said `closed` or `error`, or the browser's socket was closed.

        Raises:
            TimeoutError: Neither happened in time.
        """
        await self._changed.until(lambda: self._has_ended, timeout_s)

    async def started_or_ended(self, timeout_s: float) -> None:
        """Returns once the agent said `started`, or as `ended` does.

        Raises:
            TimeoutError: Nothing of that in time.
        """
        await self._changed.until(lambda: self.started or self._has_ended, timeout_s)

    @property
    def _has_ended(self) -> bool:
        return self.over or self.browser_closed is not None

    async def start(self) -> None:
        await self._tell("start", container_id=self.container_id)

    def end_browser(self, code: int, reason: str) -> None:
        self.browser_closed = self.browser_closed or (code, reason)
        self._changed.fire()

    def take(self, said: ShellData) -> None:
        """What the agent says of the session.

        Raises:
            Dropped: The session is over, or it is no base64, or too long a reason, which closes no browser.
        """
        if self.over:
            raise Dropped(f"{said.action} after the session ended")
        if said.action == "started":
            self.started = True
        elif said.action == "data":
            self._print(said.data)
        else:
            self.over = True
        self._changed.fire()
        if said.action == "error":
            self._fail(said.error)

    def _print(self, data: str) -> None:
        try:
            raw = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise Dropped("data is no base64") from None
        if self.browser_closed is None:
            self.output += raw
            self.on_output(raw)

    def _fail(self, error: str) -> None:
        self.error = error
        if len(error.encode()) > MAX_REASON_BYTES:
            raise Dropped(f"the reason is over {MAX_REASON_BYTES} bytes: the browser stays open")
        self.end_browser(INTERNAL_ERROR, error)

    async def _tell(self, action: str, **more: Any) -> None:
        async with self._in_order:
            if not self.over and self.browser_closed is None:
                payload = {"action": action, "session_id": self.session_id, **more}
                frame = {"type": "shell_session", "payload": payload}
                await self._send(self.host_id, frame)


class Shells:
    def __init__(self, send: Send, new_id: Callable[[], str]) -> None:
        self.all: dict[str, Shell] = {}
        self._send, self._new_id = send, new_id

    async def open(self, host_id: str, container_id: str, size: tuple[int, int] | None) -> Shell:
        """What `Hub.open_shell` says."""
        shell = Shell(host_id, container_id, self._new_id(), self._send)
        self.all[shell.session_id] = shell
        await shell.start()
        if size is not None:
            await shell.resize(*size)
        return shell

    def take(self, host: Host, payload: Any) -> None:
        said = read(ShellData, payload)
        shell = self.all.get(said.session_id)
        if shell is None or shell.host_id != host.id:
            raise Dropped(f"there is no session {said.session_id}")
        shell.take(said)

    def disconnected(self, host_id: str) -> None:
        """The agent is gone, and no newer connection of it is there."""
        for shell in self.all.values():
            if shell.host_id == host_id:
                shell.end_browser(GOING_AWAY, "Agent disconnected")
