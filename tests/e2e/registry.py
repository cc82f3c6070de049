"""Debian's docker-registry on loopback for a whole run of tests: everybody may push and pull."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from docker_registry import PROGRAM, START_DEADLINE_S, free_port

STOP_DEADLINE_S = 10

_CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}/data}}}}
http: {{addr: "{address}"}}
"""


class OpenRegistry:
    """`with` runs it. `address` is its host and port."""

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="dmreg", dir="/tmp"))
        self.address = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        config = self._root / "config.yml"
        config.write_text(_CONFIG.format(root=self._root, address=self.address))
        self._process = subprocess.Popen(
            [PROGRAM, "serve", config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until_s = time.monotonic() + START_DEADLINE_S  # noqa: TID251  no loop runs yet
        while not self._answers():
            if time.monotonic() > until_s:  # noqa: TID251
                self.__exit__(None, None, None)
                raise AssertionError(f"{PROGRAM} does not answer after {START_DEADLINE_S} s")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_DEADLINE_S)
        shutil.rmtree(self._root)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/v2/", timeout=5):
                return True
        except OSError:
            return False
