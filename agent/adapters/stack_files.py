"""The stacks directory: one directory for each Compose project, changed all at once or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from agent.adapters import data_dir
from agent.adapters.data_dir import unusable, write_synced
from agent.core.compose.request import COMPOSE_FILE
from agent.launcher.sync import sync_directory
from agent.ports import StoreError

T = TypeVar("T")

PROVE_S = 10.0

_DIRECTORY_MODE, _COMPOSE_MODE = (
    0o755,
    0o644,
)  # env files hold secrets and stay as `write_synced` makes them: 0600


class StackFiles:
    """Implements the port `Stacks` below `path`.

    New files are written and synced in a directory of their own, where links stand for what is stored and stays. What
    was proved to be good there is then renamed into place: that takes no space, so a full disk cannot stop it half-way.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._disk = ThreadPoolExecutor(1, "stacks")

    @property
    def directory(self) -> str:
        return str(self._path)

    def place(self, project: str) -> str:
        return str(self._path / project)

    async def obstacle(self) -> str:
        """Why nothing can be deployed there, or "". To be called once, before all else.

        Makes the directory if it is missing, and removes what was staged by one who died.
        """
        try:
            async with asyncio.timeout(PROVE_S):
                await self._run(self._prove)
        except StoreError as error:
            return str(error)
        except TimeoutError:
            return f"{self._path} has not answered for {PROVE_S:.0f} s: is it a dead mount?"
        return ""

    async def stage(self, project: str, files: Mapping[str, str | None]) -> str:
        await self._run(lambda: self._stage(project, files))
        return str(self._staged(project))

    async def commit(self, project: str, files: Mapping[str, str | None]) -> None:
        await self._run(lambda: self._commit(project, files))

    async def discard(self, project: str) -> None:
        await self._run(lambda: _delete(self._staged(project)))

    async def remove(self, project: str) -> None:
        await self._run(lambda: _delete(self._path / project))

    def close(self) -> None:
        self._disk.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._disk, work)
        except OSError as err:
            raise unusable(Path(err.filename or self._path), err) from err

    def _prove(self) -> None:
        _make_directory(self._path)
        for left in self._path.glob(".*.new"):
            _delete(left)
        data_dir.prove_writable(self._path)

    def _staged(self, project: str) -> Path:
        return self._path / f".{project}.new"  # no project's name begins with a dot

    def _stage(self, project: str, files: Mapping[str, str | None]) -> None:
        stored, staged = self._path / project, self._staged(project)
        _delete(staged)  # of one who died here
        _make_directory(self._path)
        staged.mkdir(mode=0o700)
        try:
            for name in _stored_names(stored) - files.keys():
                (staged / name).symlink_to(stored / name)
            for name, content in files.items():
                _refuse_a_directory(stored / name)
                if content is not None:
                    write_synced(staged / name, content.encode("utf-8", "replace"))
            (staged / COMPOSE_FILE).chmod(_COMPOSE_MODE)
            sync_directory(staged)
        except BaseException:
            with contextlib.suppress(OSError):
                _delete(staged)
            raise

    def _commit(self, project: str, files: Mapping[str, str | None]) -> None:
        stored, staged = self._path / project, self._staged(project)
        names = _stored_names(stored)
        try:
            staged.chmod(_DIRECTORY_MODE)
            if not stored.exists():
                staged.rename(stored)
            else:
                self._replace(stored, staged, files, names)
            sync_directory(self._path)
        finally:
            with contextlib.suppress(OSError):
                _delete(staged)

    def _replace(
        self, stored: Path, staged: Path, files: Mapping[str, str | None], names: set[str]
    ) -> None:
        added: list[Path] = []
        try:
            # A name that is new may need a larger directory, the only thing here that takes space: so it comes first.
            for name in files.keys() - names:
                if files[name] is not None:
                    (staged / name).rename(stored / name)
                    added.append(stored / name)
            sync_directory(stored)
        except OSError:
            for path in added:
                path.unlink(missing_ok=True)
            raise
        for name in sorted(files.keys() & names):
            if files[name] is None:
                (stored / name).unlink()
            else:
                (staged / name).replace(
                    stored / name
                )  # a link of that name is replaced, never followed
        sync_directory(stored)


def _make_directory(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(_DIRECTORY_MODE)


def _stored_names(stored: Path) -> set[str]:
    """What is in the project's directory, nothing if there is none.

    Raises:
        StoreError: It is a link, or no directory at all: whoever made it may have it lead anywhere.
    """
    if not os.path.lexists(stored):
        return set()
    if stored.is_symlink() or not stored.is_dir():
        raise StoreError(
            f"{stored} is a link or a file; put a directory in its place, or remove it"
        )
    return {path.name for path in stored.iterdir()}


def _refuse_a_directory(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        raise StoreError(f"{path} is a directory where a file has to be; remove it")


def _delete(path: Path) -> None:
    """Deletes a directory without following links, be they put there meanwhile. Fine if there is none.

    A link or a file in its place goes itself.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)
