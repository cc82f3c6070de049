"""Debian's docker-registry on loopback: the real thing, with users, for tests of credentials."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import docker
from engine import IMAGE, KILL_DEADLINE_S, LABEL

PROGRAM = "docker-registry"
START_DEADLINE_S = 30

USER, PASSWORD = "reader", "open-sesame"
_HTPASSWD = f"{USER}:$2b$04$D8a3GX0fye6Cym.hU6jY4.Shej8Lv5c/8PANVGJAGyrQ9LFQf3SH6\n"

_CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}/data}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: tests, path: {root}/htpasswd}}}}
"""


class DockerRegistry:
    """`async with` runs it. Pulling and pushing take `USER` and `PASSWORD`."""

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="dmreg", dir="/tmp"))
        self._port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    @staticmethod
    def obstacle() -> str | None:
        """Why none can run here, or None."""
        if shutil.which(PROGRAM) is None:
            return f"a registry with users takes {PROGRAM}, which is not on PATH"
        return None

    async def __aenter__(self) -> Self:
        (self._root / "htpasswd").write_text(_HTPASSWD)
        (self._root / "config.yml").write_text(_CONFIG.format(root=self._root, port=self._port))
        self._process = await asyncio.create_subprocess_exec(
            *(PROGRAM, "serve", self._root / "config.yml"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                while not await asyncio.get_running_loop().run_in_executor(None, self._answers):
                    await asyncio.sleep(0.05)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            async with asyncio.timeout(KILL_DEADLINE_S):
                await self._process.wait()
        shutil.rmtree(self._root)

    def push(
        self,
        client: docker.APIClient,
        name: str,
        command: Sequence[str],
        *,
        base: str = IMAGE,
    ) -> str:
        """Makes an image from `base`, pushes it as `name` (`repository:tag`), and takes it off the engine. Blocks.

        Returns:
            The reference to pull it by.
        """
        reference = f"127.0.0.1:{self._port}/{name}"
        repository, _, tag = reference.rpartition(":")
        made = client.create_container(base, list(command), labels={LABEL: "1"})
        try:
            client.commit(made, repository, tag)
        finally:
            client.remove_container(made, v=True, force=True)
        auth: dict[str, Any] = {"username": USER, "password": PASSWORD}
        try:
            for line in client.push(repository, tag, stream=True, decode=True, auth_config=auth):
                if "error" in line:
                    raise AssertionError(f"the push of {reference} failed: {line['error']}")
        finally:
            client.remove_image(reference, force=True)
        return reference

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/v2/", timeout=5):
                return True
        except urllib.error.HTTPError as refused:
            refused.close()
            return True
        except OSError:
            return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
