"""A process on a TTY as those see it who talk to it; the test is the process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from agent.ports import Conflict, EngineTimeout, EngineUnreachable, TerminalSink

PIECE_BYTES = 16 * 1024
HUNG_UP = 129
"""The exit code of what SIGHUP ended."""


class FakeTerminal:
    """Does what it is told at once, unless a test says otherwise.

    Attributes:
        container, command, env: What it was opened with; the container by its name.
        received: What it got, in order: input, and sizes as (columns, rows).
        unread_bytes: What the process wants to write and cannot, for nobody reads.
        reads: It takes input; else a write waits.
        dies_after_s: How long it takes to end once it is hung up on.
        is_frozen: The container is paused, and no signal reaches the process.
        is_running: The process has not ended.
        is_open: Its streams have not been dropped.
        was_left: It was still running when they were.
    """

    def __init__(
        self, container: str, command: Sequence[str], env: Mapping[str, str], sink: TerminalSink
    ) -> None:
        self.container, self.command, self.env = container, list(command), dict(env)
        self.received: list[bytes | tuple[int, int]] = []
        self.reads = self.is_running = self.is_open = True
        self.dies_after_s = 0.0
        self.is_paused = self.is_frozen = self.was_left = self._is_hung_up = False
        self._sink, self._unread = sink, bytearray()
        self._exit_code: int | None = None
        self._end: str | None = None  # why the stream will end, once it is read

    # What a test has the process do

    def writes(self, data: bytes) -> None:
        self._unread += data
        self._deliver()

    def exits(self, exit_code: int) -> None:
        self.is_running, self._exit_code = False, exit_code
        self._end = ""
        self._deliver()

    def breaks(self, reason: str) -> None:
        """The connection does; the process goes on."""
        self._end = reason
        self._deliver()

    @property
    def unread_bytes(self) -> int:
        return len(self._unread)

    # The port

    async def write(self, data: bytes, *, deadline_s: float) -> None:
        if not self._is_read:
            raise EngineUnreachable("the terminal is closed")
        if not self.reads:
            await asyncio.sleep(deadline_s)
            raise EngineTimeout(f"the process took no input for {deadline_s:g} s")
        self.received.append(data)

    async def resize(self, columns: int, rows: int, *, deadline_s: float) -> None:
        if not self.is_running:
            raise EngineUnreachable("the process has ended")
        self.received.append((columns, rows))

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False
        asyncio.get_running_loop().call_soon(self._deliver)

    async def hang_up(self, *, deadline_s: float) -> int | None:
        self._is_hung_up = True
        if self.is_running and self.is_frozen:
            raise Conflict(f"Container {self.container} is paused", 409)
        if self.is_running:
            await asyncio.sleep(min(self.dies_after_s, deadline_s))
            if self.dies_after_s > deadline_s:
                raise EngineTimeout(f"the process did not end within {deadline_s:g} s")
            self.is_running, self._exit_code = False, HUNG_UP
        return self._exit_code

    def close(self) -> None:
        if self.is_open:
            self.is_open, self.was_left = False, self.is_running

    def _deliver(self) -> None:
        while self._unread and self._is_read and not self.is_paused:
            piece = bytes(self._unread[:PIECE_BYTES])
            del self._unread[:PIECE_BYTES]
            self._sink.data(piece)
        if self._end is not None and not self._unread and self._is_read:
            reason, self._end = self._end, None
            self._sink.ended(reason)

    @property
    def _is_read(self) -> bool:
        return self.is_open and not self._is_hung_up
