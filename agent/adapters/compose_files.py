"""The port `ComposeFiles` on the local file system."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TypeVar

from agent.adapters.compose_reading import read
from agent.adapters.compose_search import Search
from agent.adapters.daemon_threads import AllBusy, DaemonThreads
from agent.ports import ComposeFile, ComposeFilesBusy, ComposeText

T = TypeVar("T")

THREADS = 4

LAST_S = 1.0
"""What a search gets to notice that its time is up."""


class LocalComposeFiles:
    """Asks on threads, so that a mount that does not answer costs a question and not the agent."""

    def __init__(self, *, max_threads: int = THREADS) -> None:
        self._threads = DaemonThreads("compose-files", max_threads)
        self._max_threads = max_threads

    async def search(
        self, roots: Sequence[PurePosixPath], *, max_depth: int, budget_s: float
    ) -> list[ComposeFile]:
        search = Search(roots, max_depth)
        ended = self._ask(search.run)
        try:
            await asyncio.wait({ended}, timeout=budget_s)
            search.stop()
            await asyncio.wait({ended}, timeout=LAST_S)
            if ended.done():
                ended.result()  # raises what the search did
        finally:
            search.stop()
            ended.cancel()
        return sorted(search.found(), key=lambda file: file.path)

    async def read(self, path: str, *, deadline_s: float) -> ComposeText:
        try:
            async with asyncio.timeout(deadline_s):
                return await self._ask(lambda: read(path))
        except TimeoutError:
            raise ComposeFilesBusy(
                f"the file system has not answered for {deadline_s:.0f} s: is it a dead mount?"
            ) from None

    def _ask(self, question: Callable[[], T]) -> asyncio.Future[T]:
        try:
            return self._threads.ask(question)
        except AllBusy:
            raise ComposeFilesBusy(
                f"the file system has {self._max_threads} questions to answer already; try again later"
            ) from None
