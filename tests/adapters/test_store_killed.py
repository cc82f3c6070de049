"""A store whose process is killed at any moment: what it said was done is done, and nothing is done twice."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sqlite3
import sys
from collections import Counter
from pathlib import Path

import pytest

from agent.adapters.store import SqliteStore

BUSY_STORE = Path(__file__).with_name("busy_store.py")
REPOSITORY = Path(__file__).parents[2]
ROUNDS = 25
LONGEST_ROUND_LINES = 200
DEADLINE_S = 20

pytestmark = pytest.mark.real_time


async def killed(data_path: Path, world: Path, round_: int, after_lines: int) -> list[list[str]]:
    """Runs a process until it has said that much, kills it in the midst of what it does then, returns all it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(BUSY_STORE), str(data_path), str(world), str(round_)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdout is not None
    said = []
    try:
        async with asyncio.timeout(DEADLINE_S):
            said += [await process.stdout.readline() for _ in range(after_lines)]
    finally:
        process.kill()
    said += (await process.stdout.read()).splitlines(keepends=True)
    assert await process.wait() == -9
    # A last line without its end was cut off by the kill.
    return [line.decode().split() for line in said if line.endswith(b"\n")]


async def test_killed_at_any_moment(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Over 25 kills on one directory every confirmed row, delivery, command and identity is there, each once."""
    data_path, world = tmp_path / "data", tmp_path / "world"
    moments = random.Random(20260101)
    told: dict[str, list[str]] = {
        what: [] for what in ("journalled", "delivered", "began", "finished", "orphan", "saved")
    }
    for round_ in range(ROUNDS):
        for what, key in await killed(
            data_path, world, round_, moments.randint(1, LONGEST_ROUND_LINES)
        ):
            told[what].append(key)

    store = SqliteStore(data_path)
    identity = await store.identity()
    waiting = [row.key for row in await store.pending(1_000_000)]
    known = await store.known()
    unfinished = {e.command_id for e in await store.unanswered() if e.outcome is None}
    await store.close()
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []

    db = sqlite3.connect(data_path / "agent.db")
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    outbox = [key for (key,) in db.execute("SELECT key FROM outbox ORDER BY seq")]
    ledger = dict(db.execute("SELECT command_id, outcome FROM ledger"))
    db.close()

    # All that was confirmed is there, in the order in which each writer wrote it, without a hole.
    assert set(told["journalled"]) <= set(outbox)
    written = Counter(key.partition("-")[0] for key in outbox)
    for writer, count in written.items():
        ours = [key for key in outbox if key.startswith(f"{writer}-")]
        assert ours == [f"{writer}-{n}" for n in range(count)]
        assert known is not None
        assert known[writer].name == ours[-1]  # the rows and the state of one batch, or neither
    assert not set(told["delivered"]) & set(waiting)
    assert max(Counter(told["delivered"]).values()) == 1

    # Nothing was carried out twice, and what was finished is known to be.
    carried_out = Counter(world.read_text().split())
    assert max(carried_out.values()) == 1
    assert set(carried_out) <= set(ledger)
    assert all(ledger[command_id] for command_id in told["finished"])
    assert {id_ for id_, outcome in ledger.items() if outcome is None} == unfinished
    assert set(told["orphan"]) <= unfinished

    # The identity is the last one that was confirmed, or the one that was being saved when a process died.
    round_, n = map(int, told["saved"][-1].split("-"))
    candidates = {f"{round_}-{n}", f"{round_}-{n + 1}"}
    candidates |= {f"{later}-0" for later in range(round_ + 1, ROUNDS)}
    assert identity.permanent_token.removeprefix("token-of-") in candidates
    assert identity.host_id in candidates
