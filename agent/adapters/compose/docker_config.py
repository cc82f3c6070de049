"""A configuration directory for one run of Docker's tools: credentials for the registries in question, and no more."""

from __future__ import annotations

import base64
import contextlib
import fcntl
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
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=within))  # 0700
    try:
        with _locked(directory):
            config = {"auths": {server: {"auth": _basic(auth)} for server, auth in auths.items()}}
            write_synced(directory / "config.json", json.dumps(config).encode())
            yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def sweep(within: Path | None = None) -> None:
    """Removes what processes that were killed have left. What one that lives works with is not touched."""
    for directory in Path(within or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # In use, another user's, a link, gone meanwhile: none of them is ours to remove.
        with contextlib.suppress(OSError), _locked(directory):
            shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Holds what the end of the process lets go of, however it ends. Raises OSError where somebody holds it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _basic(auth: RegistryAuth) -> str:
    return base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode("ascii")
