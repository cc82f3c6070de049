"""One terminal, from the browser that opened it to the process in a container and back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from enum import Enum, auto

from agent.core import shell
from agent.core.shell_buffers import InputFull, Size
from agent.features.shell_input import ShellInput
from agent.features.shell_output import ShellOutput
from agent.ports import Channel, Clock, Conflict, Engine, EngineError, LinkClosed, Terminal

OPEN_S = 20.0
HANG_UP_S = 15.0
LAST_HANG_UP_S = 1.5
"""The same when the agent ends, which has two seconds for that."""

PAUSED_S = 10 * 60.0
PAUSED_LOOK_S = 5.0
"""In a paused container nothing can be ended. So long, and so often, it is tried whether it goes on."""

CLOSE_S = 1.0
"""What was typed before the browser went still counts, if the process takes it within this time."""

LAST_WORDS_S = 10.0
"""For what a process wrote before it ended, and for telling that it has."""

IDLE_S = 30 * 60.0
"""A shell in which nothing was typed and nothing written for so long was forgotten by whoever opened it."""

log = logging.getLogger("agent.shell")


class _Kind(Enum):
    EXITED = auto()  # the process closed its side
    OVER = auto()  # the browser stays open and shows why
    FAILED = auto()  # the browser is closed and shows why
    UNHEARD = auto()  # nobody is there to be told


@dataclass(frozen=True, slots=True)
class _Ending:
    kind: _Kind
    why: str


class ShellSession:
    """A job, `run`, and what happens to it meanwhile. However it ends, it ends its process as well.

    What is typed, and the window's size, wait until the process is there. It is the terminal's sink itself.

    Args:
        container: Its ID or name.
    """

    def __init__(
        self, session_id: str, container: str, engine: Engine, channel: Channel, clock: Clock
    ) -> None:
        self._id, self._container, self._engine = session_id, container, engine
        self._loop = asyncio.get_running_loop()
        self._input, self._output = ShellInput(), ShellOutput(session_id, channel, clock)
        self._ending: asyncio.Future[_Ending] = self._loop.create_future()
        self._last_s = self._loop.time()

    # What the browser says

    def type(self, data: bytes) -> None:
        self._last_s = self._loop.time()
        try:
            self._input.type(data)
        except InputFull:
            self._end(_Kind.FAILED, "the process in the container does not read what is typed")

    def resize(self, size: Size) -> None:
        self._input.resize(size)

    def close(self) -> None:
        """The browser is gone."""
        self._input.finish()
        self._loop.call_later(CLOSE_S, self.abandon, "the browser was closed")

    def abandon(self, why: str) -> None:
        """Nobody listens any more."""
        self._end(_Kind.UNHEARD, why)

    # What the process says

    def data(self, data: bytes) -> None:
        if not self._ending.done():
            self._last_s = self._loop.time()
            self._output.add(data)

    def ended(self, reason: str) -> None:
        self._end(_Kind.OVER if reason else _Kind.EXITED, reason)

    # The job

    async def run(self) -> None:
        """Opens the terminal, and returns when it is closed and its process has ended."""
        try:
            terminal = await self._engine.open_terminal(
                self._container, shell.COMMAND, shell.ENV, self, deadline_s=OPEN_S
            )
        except EngineError as error:
            log.warning("no shell in %s: %s", self._container, error)
            self._end(_Kind.FAILED, str(error))
            await self._say_goodbye(self._ending.result())
            return
        log.info("a shell was opened in %s", self._container)
        try:
            await self._finish(terminal, await self._until_ended(terminal))
        # The agent ends, or has a defect: neither may leave the process behind.
        except BaseException:
            await self._hang_up(terminal, LAST_HANG_UP_S)
            raise
        finally:
            terminal.close()

    async def _until_ended(self, terminal: Terminal) -> _Ending:
        try:
            return await self._serve(terminal)
        # A defect of ours must not leave a process behind in somebody's container.
        except Exception as error:
            log.error("the shell in %s failed", self._container, exc_info=error)
            return _Ending(_Kind.FAILED, "the shell failed in the agent; its log says why")

    async def _serve(self, terminal: Terminal) -> _Ending:
        """Passes on what comes from either side until something ends it, and then what the process still said."""
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send(terminal))
            others = [tasks.create_task(self._feed(terminal)), tasks.create_task(self._watch())]
            ending = await self._ending
            for task in others:
                task.cancel()
            if ending.kind is not _Kind.UNHEARD:
                self._output.finish()
                await asyncio.wait({sending}, timeout=LAST_WORDS_S)
            sending.cancel()
        return ending

    async def _send(self, terminal: Terminal) -> None:
        try:
            await self._output.run(terminal)
        except LinkClosed:
            self.abandon("the link to the server is gone")

    async def _feed(self, terminal: Terminal) -> None:
        try:
            await self._input.run(terminal)
        except EngineError as error:
            self._end(_Kind.FAILED, str(error))
        else:
            self.abandon("the browser was closed")

    async def _watch(self) -> None:
        while (left_s := self._last_s + IDLE_S - self._loop.time()) > 0:
            await asyncio.sleep(left_s)
        self._end(_Kind.OVER, f"nothing happened in it for {IDLE_S / 60:.0f} minutes")

    async def _finish(self, terminal: Terminal, ending: _Ending) -> None:
        await self._say_goodbye(ending)
        exit_code = await self._hang_up(terminal, HANG_UP_S, paused_s=PAUSED_S)
        if ending.kind is _Kind.EXITED:
            ending = _Ending(_Kind.OVER, f"exit code {exit_code}" if exit_code else "")
            await self._say_goodbye(ending)
        log.info("the shell in %s is closed: %s", self._container, ending.why or "it ended")

    async def _hang_up(
        self, terminal: Terminal, deadline_s: float, *, paused_s: float = 0.0
    ) -> int | None:
        until_s = self._loop.time() + paused_s
        while True:
            try:
                return await terminal.hang_up(deadline_s=deadline_s)
            except EngineError as error:
                if not isinstance(error, Conflict) or self._loop.time() >= until_s:
                    log.warning("a shell in %s may still be running: %s", self._container, error)
                    return None
            await asyncio.sleep(PAUSED_LOOK_S)

    async def _say_goodbye(self, ending: _Ending) -> None:
        with contextlib.suppress(LinkClosed, TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                if ending.kind is _Kind.OVER:
                    notice = shell.notice(ending.why)
                    await self._output.tell(shell.output(self._id, notice))
                    await self._output.tell(shell.closed(self._id))
                elif ending.kind is _Kind.FAILED:
                    await self._output.tell(shell.failed(self._id, ending.why))

    def _end(self, kind: _Kind, why: str) -> None:
        """The first to say so decides."""
        if not self._ending.done():
            self._ending.set_result(_Ending(kind, why))
