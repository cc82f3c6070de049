"""Finding and reading the Compose files that people keep on the host, so that their projects can be taken over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from agent.core.compose_files import ENV_FILE, search_roots
from agent.ports import (
    CommandFailed,
    ComposeFile,
    ComposeFileRefused,
    ComposeFiles,
    ComposeFilesBusy,
    ComposeText,
    Handler,
    Json,
)

SEARCH_WAITS_S, READ_WAITS_S = 60.0, 30.0
"""How long the server waits."""

SEARCH_S, READ_S = 45.0, 20.0

DEPTH, MAX_DEPTH = 5, 20
"""Of directories: where the server does not say, and at most."""


def _depth(value: object) -> object:
    if value is None or (isinstance(value, int) and value <= 0):
        return DEPTH
    return value


class Scan(BaseModel):
    """`paths` are looked at besides the usual places."""

    paths: list[str] | None = Field(None, max_length=100)
    recursive: bool | None = None
    max_depth: Annotated[int, BeforeValidator(_depth)] = DEPTH

    @property
    def depth(self) -> int:
        """Of directories to go down to; `recursive` is true unless said otherwise."""
        return 0 if self.recursive is False else min(self.max_depth, MAX_DEPTH)


class Read(BaseModel):
    path: str = Field(min_length=1, max_length=4096)


def discovery(files: ComposeFiles, *, home: str) -> list[Handler[Any]]:
    """Handlers of `scan_compose_dirs` and `read_compose_file`.

    Args:
        home: The home directory of the user we run as; it is searched too.
    """

    async def scan(payload: Scan, _: str) -> Json:
        try:
            found = await files.search(
                search_roots(payload.paths or (), home),
                max_depth=payload.depth,
                budget_s=SEARCH_S,
            )
        except ComposeFilesBusy as busy:
            raise CommandFailed(str(busy)) from None
        return {"success": True, "compose_files": [_found(file) for file in found]}

    async def read(payload: Read, _: str) -> Json:
        try:
            return _text(payload.path, await files.read(payload.path, deadline_s=READ_S))
        except ComposeFileRefused as refused:
            return {"success": False, "path": payload.path, "error": str(refused)}
        except ComposeFilesBusy as busy:
            raise CommandFailed(str(busy)) from None

    return [
        Handler("scan_compose_dirs", Scan, scan, lambda _: SEARCH_WAITS_S),
        Handler("read_compose_file", Read, read, lambda _: READ_WAITS_S),
    ]


def _found(file: ComposeFile) -> Json:
    return {
        "path": file.path,
        "project_name": file.project_name,
        "services": list(file.services),
        "size": file.size_bytes,
        "modified": _instant(file.modified_s),
    }


def _text(path: str, read: ComposeText) -> Json:
    env = read.env_files.get(ENV_FILE)
    return {
        "success": True,
        "path": path,
        "content": read.content,
        "env_files": dict(read.env_files),
        "skipped_env_files": list(read.skipped),
    } | ({"env_content": env} if env is not None else {})


def _instant(unix_s: float) -> str:
    """In UTC and ending in Z: the server appends one to anything else."""
    try:
        instant = datetime.fromtimestamp(unix_s, UTC)
    except (ValueError, OverflowError, OSError):  # a file system may say anything
        instant = datetime.fromtimestamp(0, UTC)
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
