"""Runs a program to its end, or ends it: what it prints is bounded, and nothing of it outlives whoever awaits it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

MAX_OUTPUT_BYTES = 16 * 1024 * 1024
MAX_LINE_BYTES = 256 * 1024
"""What a longer line says is for nobody to read: it is skipped."""

MAX_MEMORY_BYTES = 512 * 1024 * 1024
"""Many times what Compose needs. A few lines of YAML whose aliases multiply would take all that the host has."""

TERM_S, KILL_S = 1.0, 1.0
"""What a program gets to end in good order, and then the kernel to end it."""

DRAIN_S = 1.0
"""What it has printed is here by then; a child of its own that keeps its outputs open is not waited for."""

_STDIN, _STDOUT = 0, 1


class OutputTooLarge(Exception):
    """The program printed more than `MAX_OUTPUT_BYTES`, and was ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """`status` is the exit status, or minus the signal that ended it."""

    status: int
    output: bytes


async def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    feed: bytes = b"",
    line: Callable[[bytes], None],
    deadline_s: float,
) -> Ended:
    """Runs `command` in a process group of its own and the root directory.

    Args:
        env: All of its environment.
        feed: Its standard input.
        line: Given each line of its standard error.

    Raises:
        OSError: It cannot be started.
        TimeoutError: It was still running after `deadline_s`, and was ended.
        OutputTooLarge: See there.
    """
    loop = asyncio.get_running_loop()
    transport, program = await loop.subprocess_exec(
        lambda: _Program(loop, line), *command, env=dict(env), cwd="/", start_new_session=True
    )
    try:
        with contextlib.suppress(OSError):  # it has ended by now, or a sandbox forbids it
            memory = (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES)
            resource.prlimit(transport.get_pid(), resource.RLIMIT_DATA, memory)
        stdin = transport.get_pipe_transport(_STDIN)
        assert isinstance(stdin, asyncio.WriteTransport)
        stdin.write(feed)
        stdin.write_eof()
        async with asyncio.timeout(deadline_s):
            await asyncio.shield(program.exited)
        await _for_a_while(program.drained, DRAIN_S)
    finally:
        await _end(transport, program)
    status = transport.get_returncode()
    assert status is not None
    return Ended(status, bytes(program.output))


class _Program(asyncio.SubprocessProtocol):
    """What the program prints. `exited` raises `OutputTooLarge` when that is too much."""

    def __init__(self, loop: asyncio.AbstractEventLoop, line: Callable[[bytes], None]) -> None:
        self.output = bytearray()
        self.exited: asyncio.Future[None] = loop.create_future()
        self.drained: asyncio.Future[None] = loop.create_future()
        self._line, self._rest, self._skips = line, b"", False

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != _STDOUT:
            self._split(data)
        elif len(self.output) + len(data) <= MAX_OUTPUT_BYTES:
            self.output += data
        elif not self.exited.done():
            self.exited.set_exception(OutputTooLarge())

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        if self._rest and not self._skips:
            self._line(self._rest)
        self.drained.set_result(None)

    def _split(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for each in whole:
            if not self._skips:
                self._line(each)
            self._skips = False
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest, self._skips = b"", True


async def _end(transport: asyncio.SubprocessTransport, program: _Program) -> None:
    """Ends the whole group, politely first. Cut short itself, it ends it at once."""
    try:
        try:
            if not program.drained.done():
                _signal(transport, signal.SIGTERM)
                await _for_a_while(program.drained, TERM_S)
        finally:
            if not program.drained.done():
                _signal(transport, signal.SIGKILL)
        await _for_a_while(program.drained, KILL_S)
    finally:
        transport.close()


async def _for_a_while(future: asyncio.Future[None], seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.shield(future)


def _signal(transport: asyncio.SubprocessTransport, number: signal.Signals) -> None:
    # Somebody of the group is still there, so its number cannot belong to another process.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(transport.get_pid(), number)
