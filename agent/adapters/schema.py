"""The database file: its tables, how it is opened, and what happens to one that is damaged."""

from __future__ import annotations

import logging
import os
import random
import sqlite3
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from agent.launcher.sync import sync_directory
from agent.ports import StoreError

log = logging.getLogger(__name__)

FILE_NAME = "agent.db"
VERSION = 1

_TABLES = (
    # What registration gave us, save for the token, which has a file of its own.
    "CREATE TABLE identity(key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    # Journal, seen-set and queue in one. AUTOINCREMENT, for a seq must never be used again.
    """CREATE TABLE outbox(
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        payload TEXT NOT NULL,
        inferred INTEGER NOT NULL,
        delivered_at TEXT
    )""",
    "CREATE INDEX outbox_pending ON outbox(seq) WHERE delivered_at IS NULL",
    "CREATE INDEX outbox_results ON outbox(seq) WHERE delivered_at IS NULL AND kind != 'container_event'",
    "CREATE INDEX outbox_delivered ON outbox(seq) WHERE delivered_at IS NOT NULL",
    "CREATE INDEX outbox_subject ON outbox(subject, seq) WHERE delivered_at IS NULL",
    """CREATE TABLE known(
        container_id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        image TEXT NOT NULL,
        running INTEGER NOT NULL,
        started_at TEXT NOT NULL
    )""",
    # `begun_by` is the instance of the store: what another one left running has nobody who works on it.
    """CREATE TABLE ledger(
        command_id TEXT PRIMARY KEY,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        payload_sha256 TEXT NOT NULL,
        repeat TEXT NOT NULL,
        began_at TEXT NOT NULL,
        begun_by TEXT NOT NULL,
        outcome TEXT,
        finished_at TEXT,
        is_answered INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX ledger_finished ON ledger(finished_at)",
    # In the order in which they began, which a new record of the same job keeps.
    """CREATE TABLE jobs(
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        record TEXT NOT NULL
    )""",
    # `cursor`: when the journal was begun; `proved`: when last it was proved that this file can be written.
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL)",
)


class _Damaged(Exception):
    """The file is not a database, or not a sound one."""


def is_damage(err: sqlite3.Error) -> bool:
    code = getattr(err, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_memory() -> sqlite3.Connection:
    """A database that lasts as long as its connection."""
    db = sqlite3.connect(":memory:", isolation_level="IMMEDIATE")
    _create(db, after_seq=_elsewhere())
    return db


def _elsewhere() -> int:
    """Where the outbox of a database that takes another's place is numbered from.

    Whoever still holds a seq of the other must not hit a row of this one with it.
    """
    return (1 + random.getrandbits(28)) << 32


def open_file(path: Path, now: datetime) -> sqlite3.Connection:
    """The database at `path`, made if it is missing. A damaged one is kept aside and a new one begun.

    Raises:
        OSError, sqlite3.Error: It cannot be opened or written.
        StoreError: A newer release wrote it.
    """
    try:
        return _open(path, after_seq=0)
    except _Damaged as err:
        kept = _move_aside(path, now)
        log.warning(
            "%s was damaged (%s) and is kept as %s; a new one is begun, so events that waited for the "
            "server are not sent and repeated commands are not recognised",
            *(path, err, kept.name),
        )
        return _open(path, after_seq=_elsewhere())


def _open(path: Path, after_seq: int) -> sqlite3.Connection:
    # SQLite would let everybody read it; the files it puts beside it have the mode of this one.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(path, flags, 0o600))
    with ExitStack() as undo:
        db = sqlite3.connect(path, isolation_level="IMMEDIATE")
        undo.callback(db.close)
        try:
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as err:
            if is_damage(err):
                raise _Damaged(str(err)) from err
            raise
        if verdict != "ok":
            raise _Damaged(str(verdict).replace("\n", " "))
        if version > VERSION:
            raise StoreError(
                f"{path} was written by a newer release (schema {version}, this one knows {VERSION}); "
                "run that release, or move the file away"
            )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut
        db.execute("PRAGMA journal_size_limit = 4194304")
        if version == 0:
            _create(db, after_seq)
            sync_directory(path.parent)
        undo.pop_all()
        return db


def _create(db: sqlite3.Connection, after_seq: int) -> None:
    with db:
        db.execute("BEGIN IMMEDIATE")
        for statement in _TABLES:
            db.execute(statement)
        db.execute("INSERT INTO sqlite_sequence(name, seq) VALUES ('outbox', ?)", (after_seq,))
        db.execute(f"PRAGMA user_version = {VERSION}")


def _move_aside(path: Path, now: datetime) -> Path:
    """Keeps the newest damaged file for whoever wants to look; older ones go."""
    for older in path.parent.glob(f"{path.name}.corrupt-*"):
        older.unlink()
    kept = path.with_name(f"{path.name}.corrupt-{now:%Y%m%dT%H%M%SZ}")
    for suffix in ("-wal", "-shm"):  # a log must never be replayed into another file
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.replace(kept)
    sync_directory(path.parent)
    return kept
