"""The `Store` on disk: one thread, one database, one transaction for all that waits meanwhile."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from agent.adapters import data_dir, records, schema, token_file
from agent.clock import utcnow
from agent.core.identity import Identity
from agent.core.jobs import Job
from agent.core.journal import Known, Row
from agent.core.ledger import Entry
from agent.core.repeats import Repeats
from agent.ports import Batch, Json, StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")

_CLOSE_S = 5.0  # a disk that does not answer must not keep the process
_OVERFLOW = "outbox overflow"


class SqliteStore:
    """See `agent.ports.Store`. Nothing is opened before the first call.

    Where the directory cannot be used, all is kept in memory, with a warning, until `prove_writable` finds that it can
    be; what is in memory then moves to the file. Only `prove_writable` and `save_identity` fail meanwhile.

    Args:
        data_path: The directory; made if it is missing.
        max_pending: How many events wait for the server at most. Beyond it the oldest go, but none that is the last
            word on a container that exists. The default is a week of five events a minute.
    """

    def __init__(self, data_path: Path, *, max_pending: int = 50_000) -> None:
        self._data_path = data_path
        self._max_pending = max_pending
        self._instance = uuid.uuid4().hex
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._closed = False
        # The journal's waiting calls: the loop's alone.
        self._waiting: list[tuple[records.Write, asyncio.Future[int]]] = []
        self._is_committing = False
        self._dropped = 0
        self._repeats = Repeats()
        # From here on the thread's alone.
        self._db: sqlite3.Connection | None = None
        self._is_file = False
        self._lock: int | None = None
        self._moved: dict[int, int] = {}
        self._unsaved: Identity | None = None

    async def prove_writable(self) -> None:
        await self._call(self._prove_writable)

    async def identity(self) -> Identity:
        return await self._call(self._identity)

    async def save_identity(self, identity: Identity) -> None:
        await self._call(lambda db, _: self._save_identity(db, identity))

    async def journal(self, batch: Batch) -> int:
        """Calls that wait while a transaction runs share the next one. A cancelled call may still be written."""
        self._check_open()
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((records.Write.of(batch), written))
        if not self._is_committing:
            self._commit_waiting()
        return await written

    async def known(self) -> dict[str, Known] | None:
        return await self._call(lambda db, _: records.known(db))

    async def seen(self) -> frozenset[str]:
        return await self._call(lambda db, _: records.seen(db))

    async def pending(self, limit: int) -> list[Row]:
        return await self._call(lambda db, _: records.pending(db, limit))

    async def delivered(self, seqs: Sequence[int]) -> None:
        await self._call(
            lambda db, now: records.delivered(db, [self._moved.get(seq, seq) for seq in seqs], now)
        )
        self._dropped = 0
        self._repeats.recovered(_OVERFLOW, asyncio.get_running_loop().time())

    async def adopt(self) -> int:
        return await self._call(records.adopt)

    async def begin(self, entry: Entry) -> Entry | None:
        return await self._call(lambda db, now: records.begin(db, entry, self._instance, now))

    async def finish(self, command_id: str, outcome: Json) -> None:
        """An id that is not there is passed over: it was pruned, or went with a damaged file.

        Raises:
            ValueError: The outcome takes more than 4 KiB.
        """
        text = records.outcome_json(outcome)
        await self._call(lambda db, now: records.finish(db, command_id, text, now))

    async def answered(self, command_id: str) -> None:
        await self._call(lambda db, _: records.answered(db, command_id))

    async def unanswered(self) -> list[Entry]:
        return await self._call(lambda db, now: records.unanswered(db, self._instance, now))

    async def save_job(self, job: Job) -> None:
        row = records.job_row(job)
        await self._call(lambda db, _: records.save_job(db, row))

    async def jobs(self) -> list[Job]:
        return await self._call(lambda db, _: records.jobs(db))

    async def end_job(self, job_id: str, results: Sequence[Row]) -> None:
        rows = records.result_rows(results)
        await self._call(lambda db, _: records.end_job(db, job_id, rows))

    async def close(self) -> None:
        """Writes what waits, closes, and gives up on a disk that does not answer for 5 s. Later calls fail."""
        if self._closed:
            return
        if self._waiting:
            self._commit_waiting()
        self._closed = True
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)
        done, _ = await asyncio.wait({closing}, timeout=_CLOSE_S)
        if not done:
            log.warning(
                "%s was not closed within %.0f s: its disk hangs", self._data_path, _CLOSE_S
            )

    # --- On the loop

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"the store in {self._data_path} has been closed")

    async def _call(self, job: Callable[[sqlite3.Connection, datetime], T]) -> T:
        return await self._submit(job)

    def _submit(self, job: Callable[[sqlite3.Connection, datetime], T]) -> asyncio.Future[T]:
        self._check_open()
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, self._perform, job, utcnow())

    def _commit_waiting(self) -> None:
        group, self._waiting = self._waiting, []
        self._is_committing = True
        writes = [write for write, _ in group]
        commit = self._submit(
            lambda db, now: records.append(db, writes, max_pending=self._max_pending, now=now)
        )
        commit.add_done_callback(lambda _: self._committed([call for _, call in group], commit))

    def _committed(
        self, calls: Sequence[asyncio.Future[int]], commit: asyncio.Future[tuple[list[int], int]]
    ) -> None:
        self._is_committing = False
        if self._waiting:
            self._commit_waiting()
        if err := commit.exception():
            for call in calls:
                if not call.done():
                    call.set_exception(err)
            return
        added, dropped = commit.result()
        for call, count in zip(calls, added, strict=True):
            if not call.done():
                call.set_result(count)
        if dropped:
            self._tell_dropped(dropped)

    def _tell_dropped(self, dropped: int) -> None:
        self._dropped += dropped
        if self._repeats.failed(_OVERFLOW, asyncio.get_running_loop().time()):
            log.warning(
                "%d events wait for the server, which is as many as are kept: the %d oldest were dropped; "
                "the last one of each container that exists is kept",
                *(self._max_pending, self._dropped),
            )

    # --- On the thread

    def _perform(self, job: Callable[[sqlite3.Connection, datetime], T], now: datetime) -> T:
        try:
            return job(self._database(now), now)
        except OSError as err:
            raise data_dir.unusable(self._data_path, err) from err
        except sqlite3.OperationalError as err:
            raise data_dir.unusable(self._data_path, err) from err
        except sqlite3.DatabaseError as err:
            if not schema.is_damage(err):
                raise  # a defect of ours
            self._release()  # the next call opens it anew, which moves it aside
            raise data_dir.unusable(self._data_path / schema.FILE_NAME, err) from err

    def _database(self, now: datetime) -> sqlite3.Connection:
        if self._db is None:
            try:
                self._db = self._open_file(now)
            except StoreError as err:
                self._db = schema.open_memory()
                log.warning(
                    "%s. Until then the agent works in memory: a restart loses the events that wait "
                    "for the server, and which commands were carried out",
                    err,
                )
        return self._db

    def _open_file(self, now: datetime) -> sqlite3.Connection:
        try:
            self._lock_directory()
            db = schema.open_file(self._data_path / schema.FILE_NAME, now)
        except (OSError, sqlite3.Error) as err:
            raise data_dir.unusable(self._data_path, err) from err
        self._is_file = True
        return db

    def _lock_directory(self) -> None:
        if self._lock is None:
            self._lock = data_dir.lock(self._data_path)

    def _prove_writable(self, db: sqlite3.Connection, now: datetime) -> None:
        data_dir.prove_writable(self._data_path)
        if not self._is_file:
            db = self._move_to_file(db, now)
        records.prove_writable(db, now)
        if self._unsaved:
            self._save_identity(db, self._unsaved)

    def _move_to_file(self, memory: sqlite3.Connection, now: datetime) -> sqlite3.Connection:
        file = self._open_file(now)
        try:
            self._moved |= records.move(memory, file)
        except sqlite3.Error:
            file.close()
            self._is_file = False
            raise
        memory.close()
        self._db = file
        log.warning("%s can be used now; what was in memory has moved there", self._data_path)
        return file

    def _identity(self, db: sqlite3.Connection, _now: datetime) -> Identity:
        if self._unsaved:
            return self._unsaved
        token = token_file.read(self._data_path)
        return replace(records.identity(db), permanent_token=token, agent_id=token)

    def _save_identity(self, db: sqlite3.Connection, identity: Identity) -> None:
        # Until both are written: the token was given for one that can be used only once.
        self._unsaved = replace(identity, agent_id=identity.permanent_token)
        self._lock_directory()  # in memory too: the token there may be another agent's
        token_file.write(self._data_path, identity.permanent_token)
        records.save_identity(db, identity)
        self._unsaved = None

    def _close(self) -> None:
        try:
            self._release()
        except sqlite3.Error as err:
            log.warning("%s", data_dir.unusable(self._data_path, err))
        if self._lock is not None:
            os.close(self._lock)

    def _release(self) -> None:
        db, self._db, self._is_file = self._db, None, False
        if db is not None:
            db.close()  # as the last connection it writes the log into the database
