"""What Compose prints with `--progress json`: one object a line, and the reason of a failure among them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

MAX_ERROR_CHARS = 800

_DAEMON = re.compile(r"^Error response from daemon: ")

_QUOTES_ENV_FILE = re.compile(r"(failed to read [^\"']*?)[:,]? [\"'].*")
_QUOTES_TEMPLATE = re.compile(r"(invalid interpolation format .* with another \$\.).*")
"""After these words Compose shows the line that it cannot read, and with it a password, say."""

_CRASH = "fatal error: "
"""How the program's last words begin when it has no more memory. Pages for its makers follow."""

_OUT_OF_MEMORY = "Compose ran out of memory: the project is too large, or its YAML aliases multiply"


class Output:
    """Takes the lines of Compose's standard error. `reason` says why it failed, if it did.

    Args:
        watch: Given each object that is progress.
    """

    def __init__(self, watch: Callable[[dict[str, Any]], None]) -> None:
        self._watch = watch
        self._error = self._plain = ""
        self._has_crashed = False

    @property
    def reason(self) -> str:
        """The last error; else the last thing it said in words, or ""."""
        text = _DAEMON.sub("", " ".join((self._error or self._plain).split()))
        for quoting in (_QUOTES_ENV_FILE, _QUOTES_TEMPLATE):
            text = quoting.sub(r"\1", text)
        return text[:MAX_ERROR_CHARS]

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
        if self._has_crashed:
            return
        if text.startswith(_CRASH):
            self._has_crashed = True
            self._plain = _OUT_OF_MEMORY if "memory" in text else text
        elif not isinstance(said, dict):
            self._plain = text or self._plain
        elif said.get("error") is True:
            self._error = str(said.get("message") or "")
        elif "level" not in said:  # else a remark for whoever sits before it
            self._watch(said)
