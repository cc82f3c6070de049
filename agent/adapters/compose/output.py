"""What Compose prints with `--progress json`: one object a line, and the reason of a failure among them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

MAX_ERROR_CHARS = 800

_DAEMON = re.compile(r"^Error response from daemon: ")


class Output:
    """Takes the lines of Compose's standard error. `reason` says why it failed, if it did.

    Args:
        watch: Given each object that is progress.
    """

    def __init__(self, watch: Callable[[dict[str, Any]], None]) -> None:
        self._watch = watch
        self._error = self._plain = ""

    @property
    def reason(self) -> str:
        """The last error; else the last thing it said in words, or ""."""
        text = " ".join((self._error or self._plain).split())
        return _DAEMON.sub("", text)[:MAX_ERROR_CHARS]

    @property
    def told_in_json(self) -> bool:
        """Whether an error came in the form that is understood."""
        return bool(self._error)

    def take(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()
        try:
            said = json.loads(text) if text.startswith("{") else None
        except ValueError:
            said = None
        if not isinstance(said, dict):
            self._plain = text or self._plain
        elif said.get("error") is True:
            self._error = str(said.get("message") or "")
        elif "level" not in said:  # else a remark for whoever sits before it
            self._watch(said)
