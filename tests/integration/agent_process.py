"""The agent as a user runs it: a process of its own, its settings in the environment, its log on standard error."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

START_S = 60.0
"""A busy machine may take its time; a test that passes never waits this long."""

END_S = 10.0


class AgentProcess:
    """One `python -m agent`. Killed, if it still runs, at the end of the `with` block.

    Args:
        settings: Environment variables; nothing of ours is inherited.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        inherited = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
        self._environ = {**inherited, "LOG_JSON": "false", **settings}
        self._process: asyncio.subprocess.Process
        self._reading: asyncio.Task[None]
        self._said = asyncio.Event()
        self.lines: list[str] = []

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agent"),
            cwd=Path(__file__).parents[2],
            env=self._environ,
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.get_running_loop().create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.kill()
        if error is not None:
            error.add_note("the agent said:\n" + "\n".join(self.lines))

    @property
    def pid(self) -> int:
        return self._process.pid

    async def says(self, text: str, *, within_s: float = START_S) -> str:
        """Waits for a log line with `text` in it and returns the first."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for line in self.lines:
                        if text in line:
                            return line
                    if self._reading.done():
                        break
                    self._said.clear()
                    await self._said.wait()
        except TimeoutError:
            pass
        raise AssertionError(f"no line with {text!r} in:\n" + "\n".join(self.lines))

    async def ends(self, *, within_s: float = END_S) -> int:
        """Waits for the end of the process and returns its exit status."""
        async with asyncio.timeout(within_s):
            status = await self._process.wait()
            await self._reading
        return status

    def send_signal(self, signum: signal.Signals) -> None:
        self._process.send_signal(signum)

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process.returncode is None:
            self._process.kill()
        await self.ends()

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.lines.append(line.decode(errors="replace").rstrip())
            self._said.set()
        self._said.set()
