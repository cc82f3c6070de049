"""A process on a TTY in a container, and both its streams."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from agent.adapters.engine.endpoint import Endpoint
from agent.adapters.engine.errors import silent
from agent.adapters.engine.execs import Execs, ExecState
from agent.adapters.engine.hijack import Hijacked, hijack
from agent.adapters.engine.leader import FirstLine, explained, leading, signalling
from agent.ports import EngineRefused, EngineTimeout, NotFound, TerminalSink

GRACE_S = 1.0
"""What a process gets after each signal. A shell that was hung up on is gone within milliseconds."""

LOOK_EVERY_S = 0.05


async def open_terminal(
    endpoint: Endpoint,
    execs: Execs,
    container: str,
    command: Sequence[str],
    env: Mapping[str, str],
    sink: TerminalSink,
    *,
    deadline_s: float,
) -> DockerTerminal:
    """As `agent.ports.Engine` says. An engine that starts the process after the deadline leaves it running."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + deadline_s
    exec_id, path = await execs.create_on_tty(
        container, leading(command), env, deadline_s=deadline_s
    )
    arrivals = _Arrivals(sink)
    begin = {"Detach": False, "Tty": True}
    with contextlib.ExitStack() as undo:
        try:
            async with asyncio.timeout_at(until_s):
                connection = await hijack(endpoint, path, begin, arrivals, deadline_s=deadline_s)
                undo.callback(connection.close)
                pid = await arrivals.pid
        except TimeoutError:
            raise EngineTimeout(silent(endpoint, deadline_s)) from None
        except EngineRefused as refusal:
            raise explained(refusal) from None
        undo.pop_all()
    return DockerTerminal(execs, container, exec_id, pid, connection)


class DockerTerminal:
    """`agent.ports.Terminal` on an exec instance. The event loop itself reads and writes: it has no thread.

    Args:
        pid: The process's ID in the container; it leads its process group.
    """

    def __init__(
        self, execs: Execs, container: str, exec_id: str, pid: int, connection: Hijacked
    ) -> None:
        self._execs, self._container, self._exec_id = execs, container, exec_id
        self._pid, self.connection = pid, connection
        self._unsent = ["HUP", "KILL"]  # mildest first

    async def write(self, data: bytes, *, deadline_s: float) -> None:
        await self.connection.write(data, deadline_s=deadline_s)

    async def resize(self, columns: int, rows: int, *, deadline_s: float) -> None:
        await self._execs.resize(self._exec_id, columns, rows, deadline_s=deadline_s)

    def pause(self) -> None:
        self.connection.pause()

    def resume(self) -> None:
        self.connection.resume()

    async def hang_up(self, *, deadline_s: float) -> int | None:
        # An engine that is stuck with output, or whose connection was dropped, tells nothing true about the process.
        self.connection.drain()
        until_s = asyncio.get_running_loop().time() + deadline_s
        try:
            state = await self._look(until_s)
            while state.is_running and self._unsent:
                await self._send(self._unsent[0], until_s)
                del self._unsent[0]  # whoever is cut short and comes back does not begin anew
                state = await self._wait(until_s)
        except NotFound:
            return None  # the container is gone, and all that ran in it
        if state.is_running:
            raise EngineTimeout(f"The process {self._pid} in the container does not end")
        return state.exit_code

    def close(self) -> None:
        self.connection.close()

    async def _send(self, signal: str, until_s: float) -> None:
        command = signalling(self._pid, signal)
        try:
            await self._execs.run_detached(self._container, command, deadline_s=_left_s(until_s))
        except EngineRefused:
            # Nothing can be run in a container that has just stopped; then there is nothing to end either.
            if (await self._look(until_s)).is_running:
                raise

    async def _wait(self, until_s: float) -> ExecState:
        """Returns when the process has ended, or has had its time to."""
        loop = asyncio.get_running_loop()
        until_s = min(until_s, loop.time() + GRACE_S)
        while (state := await self._look(until_s)).is_running and loop.time() < until_s:
            await asyncio.sleep(LOOK_EVERY_S)
        return state

    async def _look(self, until_s: float) -> ExecState:
        return await self._execs.state(self._exec_id, deadline_s=_left_s(until_s))


class _Arrivals:
    """What the connection brings: first of all the process's ID, then what is for the sink.

    Attributes:
        pid: Raises `EngineRefused` if the process could not be started.
    """

    def __init__(self, sink: TerminalSink) -> None:
        self._sink, self._first_line = sink, FirstLine()
        self.pid: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def received(self, data: bytes) -> None:
        if not self.pid.done():
            try:
                data = self._first_line.feed(data)
            except EngineRefused as refused:
                return self.pid.set_exception(refused)
            if self._first_line.pid is not None:
                self.pid.set_result(self._first_line.pid)
        if data:
            self._sink.data(data)
        return None

    def lost(self, reason: str) -> None:
        if self.pid.done():
            self._sink.ended(reason)
        else:
            self.pid.set_exception(self._first_line.ended())


def _left_s(until_s: float) -> float:
    """What is left, and a little more: who asks at the last moment still wants to know."""
    return max(0.5, until_s - asyncio.get_running_loop().time())
