"""Where the agent's log goes while a demo runs."""

from __future__ import annotations

import contextlib
import io
import logging
from collections import deque
from collections.abc import Iterator
from typing import TextIO

from agent import logs


class Tail(io.StringIO):
    """A stream of which only the newest lines are kept, without their ends."""

    def __init__(self, max_lines: int) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=max_lines)

    def write(self, text: str) -> int:
        self.lines.extend(text.splitlines())
        return len(text)


@contextlib.contextmanager
def logging_to(stream: TextIO, level: str) -> Iterator[logs.Redactor]:
    """The agent and its libraries log to `stream`, as text; afterwards as before. The server's log is another one."""
    root, server = logging.getLogger(), logging.getLogger("agent.hub")
    level_before, handlers_before = root.level, root.handlers[:]
    server.propagate = False
    try:
        yield logs.configure(level, json=False, stream=stream)
    finally:
        server.propagate = True
        root.setLevel(level_before)
        root.handlers[:] = handlers_before
