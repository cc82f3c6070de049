"""The launcher's lines on stderr, in the form of the agent's own."""

from __future__ import annotations

import contextlib
import os
import time

from agent.launcher.small_json import canonical

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from collections.abc import Mapping

FALSE = ("0", "f", "F", "false", "FALSE", "False")
TRUE = ("1", "t", "T", "true", "TRUE", "True")


def now() -> str:
    """UTC, ISO 8601, whole seconds: for people and records, never to measure by."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Voice:
    """Writes lines as LOG_JSON says: JSON, or for people."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._is_json = environ.get("LOG_JSON", "") not in FALSE

    def info(self, text: str) -> None:
        self._write("info", text)

    def warn(self, text: str) -> None:
        self._write("warn", text)

    def _write(self, level: str, text: str) -> None:
        if self._is_json:
            fields = {"time": now(), "level": level, "msg": text, "logger": "launcher"}
            line = canonical(fields)
        else:
            line = f"{now()} {level.upper():<5} launcher: {text}\n".encode(errors="replace")
        with contextlib.suppress(OSError):  # nobody listens; the release still runs
            os.write(2, line)
