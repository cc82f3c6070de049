"""What a process writes, on its way to the browser."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from agent.core import shell
from agent.core.replies import event
from agent.core.shell_buffers import OutputBuffer
from agent.ports import Channel, ChannelFull, Clock, Priority, Terminal

GATHER_S = 0.01
"""Between two frames: what comes meanwhile leaves together. No eye sees it, and no flood is faster than 1.6 MB/s."""

WINDOW_BYTES = 64 * 1024
"""So much may be on its way. More would lie in the kernels of a server that reads slowly, and replies behind it."""

RETRY_FULL_S = 0.25


class ShellOutput:
    """Gathers output into frames and sends one at a time: no more than that is ever in the way of a reply.

    When too much waits for the link, or for a server that is slow to read, the process has to wait as well.
    """

    def __init__(self, session_id: str, channel: Channel, clock: Clock) -> None:
        self._id, self._channel, self._clock = session_id, channel, clock
        self._buffer = OutputBuffer()
        self._filled = asyncio.Event()
        self._terminal: Terminal | None = None
        self._is_paused = self._is_finished = False

    def add(self, data: bytes) -> None:
        self._buffer.add(data)
        self._filled.set()
        self._regulate()

    def finish(self) -> None:
        """Nothing more comes."""
        self._is_finished = True
        self._filled.set()

    async def run(self, terminal: Terminal) -> None:
        """Says that the terminal is there, sends what comes, and returns when it has all and nothing more comes.

        Raises:
            LinkClosed: Nobody takes it any more.
        """
        self._terminal = terminal
        self._regulate()
        await self.tell(shell.started(self._id))
        under_way_bytes = 0
        while True:
            await self._filled.wait()
            self._filled.clear()
            while frame := self._buffer.take():
                self._regulate()
                await self.tell(shell.output(self._id, frame))
                under_way_bytes += len(frame)
                if under_way_bytes >= WINDOW_BYTES:
                    await self._channel.confirm()
                    under_way_bytes = 0
                await asyncio.sleep(GATHER_S)
            if self._is_finished:
                return

    async def tell(self, payload: Mapping[str, Any]) -> None:
        """Sends one `shell_data`, and returns when the transport has taken it.

        Raises:
            LinkClosed: It may not have arrived.
        """
        while True:
            try:
                await self._channel.send(
                    event("shell_data", payload, self._clock()), Priority.SHELL
                )
            except ChannelFull:
                await asyncio.sleep(RETRY_FULL_S)
            else:
                return

    def _regulate(self) -> None:
        """Has the process wait, or go on."""
        if self._terminal is None:
            return
        if self._is_paused and self._buffer.has_room:
            self._is_paused = False
            self._terminal.resume()
        elif not self._is_paused and self._buffer.is_full:
            self._is_paused = True
            self._terminal.pause()
