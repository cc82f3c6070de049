"""A store in memory that keeps the promises of the port; the contract tests hold it to them."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Sequence
from dataclasses import replace

from agent.core.identity import Identity
from agent.core.jobs import Job
from agent.core.journal import Known, Row
from agent.core.ledger import Entry
from agent.ports import Batch, Json, StoreError


class MemoryStore:
    """What a scenario looks at is public: `saved`, `rows` by key, `undelivered` seqs, `containers`, `ledger`, the jobs
    that have `begun`.

    Set `broken` and each call raises it, as on a disk that is full. A method in `hangs_after` does what it should, and
    then nobody gets an answer any more: so it is for a process that ends with that call.
    """

    def __init__(self, identity: Identity | None = None) -> None:
        self.saved = identity or Identity()
        self.rows: dict[str, Row] = {}
        self.undelivered: set[int] = set()
        self.containers: dict[str, Known] | None = None
        self.ledger: dict[str, Entry] = {}
        self.begun: dict[str, Job] = {}
        self.replied: set[str] = set()
        self.broken: StoreError | None = None
        self.hangs_after: set[str] = set()
        self._orphans: list[str] = []

    def restarted(self) -> MemoryStore:
        """What the next process finds."""
        found = copy.deepcopy(self)
        found.broken = None
        found.hangs_after.clear()
        found._orphans = [id_ for id_ in found.ledger if id_ not in found.replied]
        return found

    def _check(self) -> None:
        if self.broken:
            raise self.broken

    async def prove_writable(self) -> None:
        self._check()

    async def identity(self) -> Identity:
        self._check()
        return self.saved

    async def save_identity(self, identity: Identity) -> None:
        self._check()
        self.saved = replace(identity, agent_id=identity.permanent_token)

    async def journal(self, batch: Batch) -> int:
        self._check()
        if self.containers is None:
            self.containers = {}
        new = sum(self._append(row) for row in batch.rows)
        for container_id, state in batch.known.items():
            if state is None:
                self.containers.pop(container_id, None)
            else:
                self.containers[container_id] = state
        await self._may_hang("journal")
        return new

    async def known(self) -> dict[str, Known] | None:
        self._check()
        return None if self.containers is None else dict(self.containers)

    async def seen(self) -> frozenset[str]:
        self._check()
        return frozenset(list(self.rows)[-2048:])

    async def pending(self, limit: int) -> list[Row]:
        self._check()
        rows = [row for row in self.rows.values() if row.seq in self.undelivered]
        return sorted(rows, key=lambda row: row.kind == "container_event")[:limit]

    async def delivered(self, seqs: Sequence[int]) -> None:
        self._check()
        self.undelivered.difference_update(seqs)

    async def adopt(self) -> int:
        self._check()
        count = len(self.undelivered)
        self.undelivered.clear()
        return count

    async def begin(self, entry: Entry) -> Entry | None:
        self._check()
        if (recorded := self.ledger.get(entry.command_id)) is not None:
            return recorded
        self.ledger[entry.command_id] = replace(entry, outcome=None)
        return None

    async def finish(self, command_id: str, outcome: Json) -> None:
        if (size := len(json.dumps(outcome, separators=(",", ":")))) > 4096:
            raise ValueError(f"an outcome of {size} bytes does not belong in the ledger")
        self._check()
        entry = self.ledger.get(command_id)
        if entry and entry.outcome is None:
            self.ledger[command_id] = replace(entry, outcome=outcome)

    async def answered(self, command_id: str) -> None:
        self._check()
        self.replied.add(command_id)

    async def unanswered(self) -> list[Entry]:
        self._check()
        return [self.ledger[id_] for id_ in self._orphans if id_ not in self.replied]

    async def save_job(self, job: Job) -> None:
        json.dumps(job.record, allow_nan=False)
        self._check()
        self.begun[job.id] = copy.deepcopy(job)
        await self._may_hang("save_job")

    async def jobs(self) -> list[Job]:
        self._check()
        return copy.deepcopy(list(self.begun.values()))

    async def end_job(self, job_id: str, results: Sequence[Row]) -> None:
        for row in results:
            json.dumps(row.payload, allow_nan=False)
        self._check()
        self.begun.pop(job_id, None)
        for row in results:
            self._append(row)
        await self._may_hang("end_job")

    async def _may_hang(self, method: str) -> None:
        if method in self.hangs_after:
            await asyncio.get_running_loop().create_future()

    def _append(self, row: Row) -> bool:
        if row.key in self.rows:
            return False
        seq = len(self.rows) + 1
        self.rows[row.key] = replace(row, seq=seq)
        self.undelivered.add(seq)
        return True

    async def close(self) -> None:
        self.broken = StoreError("the store has been closed")
