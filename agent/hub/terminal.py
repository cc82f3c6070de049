"""The reference server at a terminal or a pipe: standard input line by line, standard output for the answers."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from typing import TextIO

from agent.hub import cli


async def run(host: str, port: int, *, poll_s: float | None) -> None:
    """Serves until the input ends or says `quit`."""
    await cli.serve(host, port, None, poll_s, sys.stdout, _lines(sys.stdin))


async def _lines(source: TextIO) -> AsyncIterator[str]:
    """The lines of `source`, which may be a terminal, a pipe or a file: a thread reads what a loop cannot wait for."""
    loop = asyncio.get_running_loop()
    # One line at a time: the thread waits until the last one has been obeyed.
    taken = threading.Semaphore(1)
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        for line in source:
            taken.acquire()
            loop.call_soon_threadsafe(queue.put_nowait, line)
        loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while (line := await queue.get()) is not None:
        yield line
        taken.release()
