"""Threads that wait for the engine, so that the event loop does not."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from agent.adapters.engine.wire import Wire
from agent.ports import EngineBusy, EngineUnreachable

T = TypeVar("T")


class Pool:
    """At most `threads` calls at a time, each on a thread with a wire of its own, and `room` more that wait.

    The standard library's executor would do, were its threads not waited for when the interpreter
    ends: one call that hangs would keep the agent from stopping.
    """

    def __init__(self, name: str, threads: int, room: int, make_wire: Callable[[], Wire]) -> None:
        self._name, self._threads, self._room, self._make_wire = name, threads, room, make_wire
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Future[Any], Callable[[Wire], Any]]] = deque()
        self._started = self._busy = 0
        self._closed = False

    def submit(self, work: Callable[[Wire], T]) -> Future[T]:
        """Has `work` done on one of the threads, which start when they are needed.

        A future that is cancelled before a thread took it is never run and frees its place.

        Raises:
            EngineBusy: The threads and the room are full.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise EngineUnreachable("The agent is shutting down")
            self._waiting = deque(each for each in self._waiting if not each[0].cancelled())
            if self._busy + len(self._waiting) >= self._threads + self._room:
                raise EngineBusy(
                    f"Too much is asked of the engine at once: {self._threads} {self._name} are "
                    "under way. Try again in a moment"
                )
            self._waiting.append((future, work))
            if self._busy + len(self._waiting) > self._started < self._threads:
                self._started += 1
                name = f"engine-{self._name}-{self._started}"
                threading.Thread(target=self._serve, name=name, daemon=True).start()
            self._changed.notify()
        return future

    def close(self) -> None:
        """Lets idle threads end, and busy ones after what they do; what waits is refused."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, deque()
            self._changed.notify_all()
        for future, _ in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(EngineUnreachable("The agent is shutting down"))

    def _serve(self) -> None:
        with contextlib.closing(self._make_wire()) as wire:
            while self._serve_one(wire):
                pass

    # In a function of its own, so that an idle thread does not hold on to its last answer.
    def _serve_one(self, wire: Wire) -> bool:
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return False
                self._changed.wait()  # an idle thread's rest; close() ends it
            future, work = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                return True
            self._busy += 1
        result: Any = None
        error: BaseException | None = None
        try:
            result = work(wire)
        # Whatever it is, it is the caller's, and the thread lives on.
        except BaseException as err:
            error = err
        # First the place, then the answer: who has it may ask again at once.
        with self._changed:
            self._busy -= 1
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
        return True
