"""Threads for questions that may never be answered, such as those to a dead network mount."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class AllBusy(Exception):
    """As many threads as may be are waiting for answers. Nothing was asked."""


class DaemonThreads:
    """One thread for each question, at most `limit` at a time.

    The standard library's executors wait for their threads when the interpreter ends: one that hangs would keep the
    agent from stopping.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name, self._limit = name, limit
        self._threads: set[threading.Thread] = set()

    def ask(self, question: Callable[[], T]) -> asyncio.Future[T]:
        """Has `question` called on a thread. Who no longer waits leaves the thread to it, and its place taken.

        Raises:
            AllBusy: There is no thread for it.
        """
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        if len(self._threads) >= self._limit:
            raise AllBusy
        answer: Future[T] = Future()
        answer.set_running_or_notify_cancel()

        def run() -> None:
            try:
                answer.set_result(question())
            # Whatever it is, it is the asker's.
            except BaseException as error:
                answer.set_exception(error)

        thread = threading.Thread(target=run, name=self._name, daemon=True)
        self._threads.add(thread)
        thread.start()
        return asyncio.wrap_future(answer)
