"""A configuration directory for one run of Docker's tools: credentials for the registries in question, and no more."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.adapters.data_dir import write_synced
from agent.ports import RegistryAuth

_PREFIX = "dockmon-agent-docker-"


@contextlib.contextmanager
def docker_config(
    auths: Mapping[str, RegistryAuth], *, within: Path | None = None
) -> Iterator[Path]:
    """A directory that only we can read, gone at the end of the block.

    Args:
        auths: By the registry's name as Docker's configuration has it.
        within: Where to make it; None is the system's own place for such things.

    Raises:
        OSError: It cannot be made.
    """
    directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=within))  # 0700
    try:
        config = {"auths": {server: {"auth": _basic(auth)} for server, auth in auths.items()}}
        write_synced(directory / "config.json", json.dumps(config).encode())
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def sweep(within: Path | None = None) -> None:
    """Removes what processes that were killed have left; to be called before the first `docker_config`."""
    for directory in Path(within or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = directory.name.removeprefix(_PREFIX).partition("-")[0]
        is_dead = pid == str(os.getpid()) or not Path("/proc", pid).exists()
        if is_dead and not directory.is_symlink() and directory.stat().st_uid == os.geteuid():
            shutil.rmtree(directory, ignore_errors=True)


def _basic(auth: RegistryAuth) -> str:
    return base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode("ascii")
