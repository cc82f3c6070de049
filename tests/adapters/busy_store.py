"""A process that lives to be killed: it uses a store as fast as it can, and says what it has been told is done.

Run as `busy_store.py DATA_PATH WORLD ROUND`. WORLD is a file with one line for each command that was carried out. The
lines on stdout are `journalled KEY`, `delivered KEY`, `began ID`, `finished ID`, `orphan ID`, `saved HOST_ID`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agent.adapters.store import SqliteStore
from agent.core.identity import Identity
from agent.core.journal import Known, Row
from agent.core.ledger import Entry, Repeat
from agent.ports import Batch

COMMANDS_A_ROUND = 40


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


async def journal(store: SqliteStore, prefix: str) -> None:
    for n in range(100_000):
        key = f"{prefix}-{n}"
        known = Known(key, "image", running=True)
        await store.journal(Batch([Row(key, {"container_id": prefix})], {prefix: known}))
        say("journalled", key)


async def deliver(store: SqliteStore) -> None:
    while True:
        for row in (await store.pending(8))[::4]:
            await store.delivered([row.seq])
            say("delivered", row.key)


async def carry_out(store: SqliteStore, world: Path, round_: int) -> None:
    """The server sends the last round's commands again, then new ones."""
    for entry in await store.unanswered():
        if entry.outcome is None:
            say("orphan", entry.command_id)
    first = max(0, (round_ - 1) * COMMANDS_A_ROUND)
    for n in range(first, (round_ + 1) * COMMANDS_A_ROUND):
        command = Entry(f"c{n}", "restart", "", "", Repeat.NEVER, "2026-01-01T00:00:00Z")
        if await store.begin(command) is None:
            say("began", command.command_id)
            with world.open("a") as lines:
                lines.write(f"{command.command_id}\n")
            await store.finish(command.command_id, {"success": True})
            say("finished", command.command_id)


async def save(store: SqliteStore, prefix: str) -> None:
    for n in range(100_000):
        host_id = f"{prefix}-{n}"
        await store.save_identity(Identity(f"token-of-{host_id}", host_id=host_id))
        say("saved", host_id)


async def main(data_path: Path, world: Path, round_: int) -> None:
    store = SqliteStore(data_path)
    async with asyncio.TaskGroup() as tasks:
        for writer in "ab":
            tasks.create_task(journal(store, f"{round_}{writer}"))
        tasks.create_task(deliver(store))
        tasks.create_task(carry_out(store, world, round_))
        tasks.create_task(save(store, str(round_)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
