"""What a browser says, on its way to a process."""

from __future__ import annotations

import asyncio
import logging

from agent.core.shell_buffers import InputQueue, Size
from agent.ports import EngineError, Terminal

WRITE_S = 30.0
"""For a process that reads nothing, once the engine's own buffers (some 100 KiB) are full of it."""

RESIZE_S = 10.0

log = logging.getLogger("agent.shell")


class ShellInput:
    """Keeps what comes before the process is there, and the order of all of it."""

    def __init__(self) -> None:
        self._queue = InputQueue()
        self._filled = asyncio.Event()
        self._is_finished = False

    def type(self, data: bytes) -> None:
        """Adds raw terminal input.

        Raises:
            InputFull: Too much waits already; this was not added.
        """
        self._queue.type(data)
        self._filled.set()

    def resize(self, size: Size) -> None:
        self._queue.resize(size)
        self._filled.set()

    def finish(self) -> None:
        """Nothing more comes."""
        self._is_finished = True
        self._filled.set()

    async def run(self, terminal: Terminal) -> None:
        """Passes on what comes, and returns when it has all and nothing more comes.

        Raises:
            EngineError: The process took no input.
        """
        while True:
            await self._filled.wait()
            self._filled.clear()
            while (item := self._queue.take()) is not None:
                if isinstance(item, Size):
                    await _resize(terminal, item)
                else:
                    await terminal.write(item, deadline_s=WRITE_S)
            if self._is_finished:
                return


async def _resize(terminal: Terminal, size: Size) -> None:
    try:
        await terminal.resize(size.columns, size.rows, deadline_s=RESIZE_S)
    except EngineError as error:
        log.info(
            "a terminal keeps its size: %s", error
        )  # it works as well, and may just have ended
