"""What survives us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.core.identity import Identity
from agent.core.jobs import Job
from agent.core.journal import Known, Row
from agent.core.ledger import Entry
from agent.ports.objects import Json


class StoreError(Exception):
    """The data directory cannot be used. The text names the path, the cause and the remedy."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction of the journal: rows to append, and what the containers are then known to be.

    `known` maps container IDs (64 characters) to their new net state, None for those that are gone.
    """

    rows: Sequence[Row] = ()
    known: Mapping[str, Known | None] = field(default_factory=dict)


class Store(Protocol):
    """Everything of ours that a restart has to find again. Each call is one durable transaction, done when it returns.

    Raises `StoreError` when the directory has become unusable.
    """

    async def prove_writable(self) -> None:
        """Writes, syncs and removes a file where the token will be: to be called before a single-use token is spent."""

    async def identity(self) -> Identity: ...

    async def save_identity(self, identity: Identity) -> None:
        """Writes the permanent token (its own file, 0600, replaced atomically) and the rest of the identity."""

    # The journal of container events

    async def journal(self, batch: Batch) -> int:
        """Appends what is not there yet (by `Row.key`) and returns how many rows were new."""

    async def known(self) -> dict[str, Known] | None:
        """The containers as last journalled, or None if nothing was ever journalled: there is no cursor yet."""

    async def seen(self) -> frozenset[str]:
        """Keys of the newest 2048 rows."""

    async def pending(self, limit: int) -> list[Row]:
        """The rows to deliver next: results of jobs first, for somebody waits for them, then events; each in order."""

    async def delivered(self, seqs: Sequence[int]) -> None: ...

    async def adopt(self) -> int:
        """Counts all pending rows as delivered, for they belong to another host record; returns how many."""

    # The ledger of commands that change something

    async def begin(self, entry: Entry) -> Entry | None:
        """Records `entry` as running and returns None, or returns what is recorded under its id and changes nothing."""

    async def finish(self, command_id: str, outcome: Json) -> None:
        """Records the reply of a command that ran, whether it succeeded or not."""

    async def answered(self, command_id: str) -> None:
        """Records that the reply has arrived: nobody has to send it again."""

    async def unanswered(self) -> list[Entry]:
        """Commands that a process before us began, and whose reply is not known to have arrived.

        One without an outcome was not finished; one with an outcome is given only while a server may wait for it.
        """

    # Jobs: work that a later process goes on with

    async def save_job(self, job: Job) -> None:
        """Writes down where `job` is; replaces what was there under its id."""

    async def jobs(self) -> list[Job]:
        """Those that have not ended, oldest first."""

    async def end_job(self, job_id: str, results: Sequence[Row]) -> None:
        """Forgets the job and appends `results` to what is to be delivered, in one transaction."""

    async def close(self) -> None: ...
