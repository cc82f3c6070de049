"""Our records as SQL. Each function is one transaction on the connection it is given, or one question to it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from agent.core.identity import Identity
from agent.core.jobs import Job
from agent.core.journal import Known, Row
from agent.core.ledger import Entry, Repeat
from agent.core.rfc3339 import rfc3339
from agent.ports import Batch, Json

SEEN_ROWS = 2048  # eight times what the engine can replay
_PRUNE_ROWS = 256  # delivered rows that may pile up before they are removed together

_SERVER_WAITS = timedelta(minutes=30)
"""For nothing longer than this."""

_LEDGER_ROWS = 10_000
_LEDGER_AGE = timedelta(days=7)

_OF_IDENTITY = ("host_id", "engine_id", "hostname")


# --- Who we are


def identity(db: sqlite3.Connection) -> Identity:
    """All but the token."""
    stored = dict(db.execute("SELECT key, value FROM identity"))
    return Identity(**{key: stored.get(key, "") for key in _OF_IDENTITY})


def save_identity(db: sqlite3.Connection, identity: Identity) -> None:
    fields = asdict(identity)
    with db:
        db.executemany(
            "INSERT OR REPLACE INTO identity(key, value) VALUES (?, ?)",
            [(key, fields[key]) for key in _OF_IDENTITY],
        )


def prove_writable(db: sqlite3.Connection, now: datetime) -> None:
    with db:
        _mark(db, "proved", now)


def _mark(db: sqlite3.Connection, key: str, now: datetime) -> None:
    db.execute("INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)", (key, rfc3339(now)))


# --- The journal


@dataclass(frozen=True, slots=True)
class Write:
    """A `Batch` in the form that the database takes."""

    rows: Sequence[tuple[Any, ...]]
    changed: Sequence[tuple[Any, ...]]
    gone: Sequence[tuple[str]]

    @classmethod
    def of(cls, batch: Batch) -> Write:
        """Raises TypeError or ValueError for a payload that is not JSON."""
        known = batch.known.items()
        return cls(
            rows=[_outbox_row(row) for row in batch.rows],
            changed=[(id_, s.name, s.image, s.running, s.started_at) for id_, s in known if s],
            gone=[(id_,) for id_, state in known if state is None],
        )


_INTO_OUTBOX = (
    "INSERT OR IGNORE INTO outbox(key, kind, subject, payload, inferred) VALUES (?, ?, ?, ?, ?)"
)


def _outbox_row(row: Row) -> tuple[Any, ...]:
    return (row.key, row.kind, row.subject, _json(row.payload), row.inferred)


def append(
    db: sqlite3.Connection, writes: Iterable[Write], *, max_pending: int, now: datetime
) -> tuple[list[int], int]:
    """Writes all in one transaction; returns how many rows each added, and how many had to be dropped for them."""
    added = []
    with db:
        db.execute("INSERT OR IGNORE INTO meta(key, value) VALUES ('cursor', ?)", (rfc3339(now),))
        for write in writes:
            added.append(max(db.executemany(_INTO_OUTBOX, write.rows).rowcount, 0))
            db.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?)", write.changed)
            db.executemany("DELETE FROM known WHERE container_id = ?", write.gone)
        dropped = _bound(db, max_pending)
        _forget_delivered(db)
    return added, dropped


def _bound(db: sqlite3.Connection, max_pending: int) -> int:
    pending = _number(db, "SELECT count(*) FROM outbox WHERE delivered_at IS NULL")
    if pending <= max_pending:
        return 0
    # Some more than needed, so that the next rows do not have to search again.
    excess = pending - max_pending + max_pending // 100
    superseded = db.execute(
        """DELETE FROM outbox WHERE seq IN (
            SELECT seq FROM outbox AS old
            WHERE delivered_at IS NULL AND kind = 'container_event' AND EXISTS (
                SELECT 1 FROM outbox AS new
                WHERE new.subject = old.subject AND new.seq > old.seq AND new.delivered_at IS NULL
            ) ORDER BY seq LIMIT ?
        )""",
        (excess,),
    ).rowcount
    # Where containers come and go by the thousand, only the last word on each is left by now, and without this
    # the queue would have no bound. The containers that exist keep theirs.
    gone = db.execute(
        """DELETE FROM outbox WHERE seq IN (
            SELECT seq FROM outbox WHERE delivered_at IS NULL AND kind = 'container_event'
            AND subject NOT IN (SELECT container_id FROM known) ORDER BY seq LIMIT ?
        )""",
        (excess - superseded,),
    ).rowcount
    return superseded + gone


def _forget_delivered(db: sqlite3.Connection) -> None:
    kept = _number(db, "SELECT count(*) FROM outbox WHERE delivered_at IS NOT NULL")
    if kept > SEEN_ROWS + _PRUNE_ROWS:
        db.execute(
            "DELETE FROM outbox WHERE delivered_at IS NOT NULL"
            " AND seq <= (SELECT seq FROM outbox ORDER BY seq DESC LIMIT 1 OFFSET ?)",
            (SEEN_ROWS,),
        )


def known(db: sqlite3.Connection) -> dict[str, Known] | None:
    if not _number(db, "SELECT count(*) FROM meta WHERE key = 'cursor'"):
        return None
    rows = db.execute("SELECT container_id, name, image, running, started_at FROM known")
    return {
        id_: Known(name, image, bool(running), started_at)
        for id_, name, image, running, started_at in rows
    }


def seen(db: sqlite3.Connection) -> frozenset[str]:
    rows = db.execute("SELECT key FROM outbox ORDER BY seq DESC LIMIT ?", (SEEN_ROWS,))
    return frozenset(key for (key,) in rows)


def pending(db: sqlite3.Connection, limit: int) -> list[Row]:
    results = _pending(db, "kind != 'container_event'", limit)
    return results + _pending(db, "kind = 'container_event'", limit - len(results))


def _pending(db: sqlite3.Connection, which: str, limit: int) -> list[Row]:
    question = (
        "SELECT key, payload, kind, inferred, seq FROM outbox"  # noqa: S608  `which` is one of the two above
        # A row that a bad disk has spoiled must not hold up those behind it.
        f" WHERE delivered_at IS NULL AND {which} AND json_valid(payload) ORDER BY seq LIMIT ?"
    )
    rows = db.execute(question, (limit,))
    return [
        Row(key, json.loads(payload), kind, bool(inferred), seq)
        for key, payload, kind, inferred, seq in rows
    ]


def delivered(db: sqlite3.Connection, seqs: Iterable[int], now: datetime) -> None:
    with db:
        db.executemany(
            "UPDATE outbox SET delivered_at = ? WHERE seq = ? AND delivered_at IS NULL",
            [(rfc3339(now), seq) for seq in seqs],
        )


def adopt(db: sqlite3.Connection, now: datetime) -> int:
    with db:
        return db.execute(
            "UPDATE outbox SET delivered_at = ? WHERE delivered_at IS NULL", (rfc3339(now),)
        ).rowcount


# --- The ledger


def begin(db: sqlite3.Connection, entry: Entry, instance: str, now: datetime) -> Entry | None:
    with db:
        _prune_ledger(db, now)
        is_new = db.execute(
            "INSERT OR IGNORE INTO ledger(command_id, action, subject, payload_sha256, repeat,"
            " began_at, begun_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(entry.command_id, entry.action, entry.subject, entry.payload_sha256),
                *(entry.repeat, entry.began_at, instance),
            ),
        ).rowcount
    if is_new:
        return None
    row = db.execute("SELECT * FROM ledger WHERE command_id = ?", (entry.command_id,))
    return _entry(row.fetchone())


def _prune_ledger(db: sqlite3.Connection, now: datetime) -> None:
    db.execute("DELETE FROM ledger WHERE finished_at < ?", (rfc3339(now - _LEDGER_AGE),))
    if (
        _number(db, "SELECT count(*) FROM ledger") >= _LEDGER_ROWS
    ):  # those that wait for an answer go last
        db.execute(
            "DELETE FROM ledger WHERE rowid IN (SELECT rowid FROM ledger"
            " ORDER BY outcome IS NOT NULL, rowid DESC LIMIT -1 OFFSET ?)",
            (_LEDGER_ROWS - 1,),
        )


def finish(db: sqlite3.Connection, command_id: str, outcome: str, now: datetime) -> None:
    """The first outcome stays: it may have been sent. `outcome` is JSON."""
    with db:
        db.execute(
            "UPDATE ledger SET outcome = ?, finished_at = ?"
            " WHERE command_id = ? AND outcome IS NULL",
            (outcome, rfc3339(now), command_id),
        )


def answered(db: sqlite3.Connection, command_id: str) -> None:
    with db:
        db.execute("UPDATE ledger SET is_answered = 1 WHERE command_id = ?", (command_id,))


def unanswered(db: sqlite3.Connection, instance: str, now: datetime) -> list[Entry]:
    rows = db.execute(
        "SELECT * FROM ledger WHERE begun_by != ? AND NOT is_answered"
        " AND (outcome IS NULL OR finished_at >= ?) ORDER BY rowid",
        (instance, rfc3339(now - _SERVER_WAITS)),
    )
    return [_entry(row) for row in rows]


def _entry(row: tuple[Any, ...]) -> Entry:
    id_, action, subject, sha256, repeat, began_at, _by, outcome, *_ = row
    known_outcome = None if outcome is None else json.loads(outcome)
    return Entry(id_, action, subject, sha256, Repeat(repeat), began_at, known_outcome)


# --- Jobs


def job_row(job: Job) -> tuple[str, str, str, str]:
    """Raises TypeError or ValueError for a record that is not JSON."""
    return (job.id, job.kind, job.subject, _json(job.record))


def save_job(db: sqlite3.Connection, row: tuple[str, str, str, str]) -> None:
    with db:
        db.execute(
            "INSERT INTO jobs(id, kind, subject, record) VALUES (?, ?, ?, ?)"
            " ON CONFLICT(id) DO UPDATE SET kind = excluded.kind, subject = excluded.subject,"
            " record = excluded.record",
            row,
        )


def jobs(db: sqlite3.Connection) -> list[Job]:
    """One whose record is spoiled has an empty one: its owner knows what to do without, and the others go on."""
    rows = db.execute("SELECT id, kind, subject, record FROM jobs ORDER BY seq")
    return [Job(id_, kind, subject, _record(record)) for id_, kind, subject, record in rows]


def _record(text: str) -> Json:
    try:
        record = json.loads(text)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def result_rows(results: Iterable[Row]) -> list[tuple[Any, ...]]:
    """Raises TypeError or ValueError for a payload that is not JSON."""
    return [_outbox_row(row) for row in results]


def end_job(db: sqlite3.Connection, job_id: str, results: Iterable[tuple[Any, ...]]) -> None:
    with db:
        db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
        db.executemany(_INTO_OUTBOX, results)


# --- From memory to the file


def move(source: sqlite3.Connection, target: sqlite3.Connection) -> dict[int, int]:
    """Adds all of `source` to `target`, where it counts as the newer; returns which seq each outbox row got."""
    seqs = {}
    with target:
        for table in ("identity", "ledger", "meta"):
            _copy(source, target, table)
        for job in source.execute("SELECT id, kind, subject, record FROM jobs ORDER BY seq"):
            target.execute(
                "INSERT OR REPLACE INTO jobs(id, kind, subject, record) VALUES (?, ?, ?, ?)", job
            )
        if known(source) is not None:  # it is then the whole truth, not a part of it
            target.execute("DELETE FROM known")
            _copy(source, target, "known")
        for seq, *rest in source.execute("SELECT * FROM outbox ORDER BY seq"):
            ((seqs[seq],),) = target.execute(
                """INSERT INTO outbox(key, kind, subject, payload, inferred, delivered_at)
                VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT(key) DO UPDATE
                SET delivered_at = coalesce(delivered_at, excluded.delivered_at) RETURNING seq""",
                rest,
            ).fetchall()
    return seqs


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> None:
    rows = source.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()  # noqa: S608  one of our tables
    if rows:
        marks = ", ".join("?" for _ in rows[0])
        target.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)  # noqa: S608  one of our tables


def _number(db: sqlite3.Connection, question: str) -> int:
    (number,) = db.execute(question).fetchone()
    return int(number)


def _json(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


OUTCOME_MAX_BYTES = 4096


def outcome_json(outcome: Json) -> str:
    """Raises ValueError for an outcome over 4 KiB: replies that large belong to commands that only read."""
    text = _json(outcome)
    if len(text) > OUTCOME_MAX_BYTES:
        raise ValueError(f"an outcome of {len(text)} bytes does not belong in the ledger")
    return text
