"""The store: what every `Store` promises, then what the one on disk does when the disk does not play along."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest
from fakes.store import MemoryStore
from frozen_loop import FrozenLoop

from agent.adapters.store import SqliteStore
from agent.core.identity import Identity
from agent.core.jobs import Job
from agent.core.journal import Known, Row
from agent.core.ledger import Entry, Repeat
from agent.ports import Batch, Store, StoreError

TOKEN = "7c1e2f00-0000-4000-8000-00000000cafe"
WEB, DB = "a" * 64, "b" * 64
WHO = Identity(TOKEN, TOKEN, "host-1", "ENGINE:1", "nas")


def row(key: str, container_id: str = WEB, *, inferred: bool = False) -> Row:
    return Row(key, {"container_id": container_id, "action": "start"}, inferred=inferred)


def rows(*keys: str) -> Batch:
    return Batch([row(key) for key in keys])


def entry(command_id: str = "c1", sha256: str = "00ff") -> Entry:
    return Entry(command_id, "restart", WEB, sha256, Repeat.PROBE, "2026-01-01T00:00:00.000000Z")


def job(job_id: str, **record: str) -> Job:
    return Job(job_id, "container_update", "web", record)


def result(key: str) -> Row:
    return Row(key, {"old_container_id": WEB[:12]}, "update_complete")


async def keys(store: Store) -> list[str]:
    return [row.key for row in await store.pending(100_000)]


class Home(Protocol):
    """Where a store lives."""

    async def open(self) -> Store:
        """The store as a new process finds it; the one opened before is closed."""


class OnDisk:
    def __init__(self, data_path: Path) -> None:
        self.data_path = data_path
        self.store: SqliteStore | None = None

    async def open(self) -> SqliteStore:
        await self.close()
        self.store = SqliteStore(self.data_path)
        return self.store

    async def close(self) -> None:
        if self.store:
            await self.store.close()


class InMemory:
    def __init__(self) -> None:
        self.store = MemoryStore()

    async def open(self) -> MemoryStore:
        self.store = self.store.restarted()
        return self.store


class TestContract:
    """What each implementation of the port promises."""

    @pytest.fixture(params=["sqlite", "memory"])
    async def home(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Home]:
        if request.param == "memory":
            yield InMemory()
            return
        home = OnDisk(tmp_path)
        yield home
        await home.close()

    @pytest.fixture
    async def store(self, home: Home) -> Store:
        return await home.open()

    async def test_nobody_at_first(self, store: Store) -> None:
        """A new store knows no identity: all of it is empty."""
        assert await store.identity() == Identity()

    async def test_identity_survives(self, store: Store, home: Home) -> None:
        """What was saved is found by the next process; the agent's id is the token."""
        await store.save_identity(replace(WHO, agent_id=""))
        assert await store.identity() == WHO
        assert await (await home.open()).identity() == WHO

    async def test_identity_is_replaced_as_a_whole(self, store: Store, home: Home) -> None:
        """A field that became empty is empty afterwards, the token included."""
        await store.save_identity(WHO)
        await store.save_identity(Identity(engine_id="ENGINE:1"))
        assert await (await home.open()).identity() == Identity(engine_id="ENGINE:1")

    async def test_writable(self, store: Store) -> None:
        """The proof changes nothing that is to be seen."""
        await store.prove_writable()
        assert await store.identity() == Identity()
        assert await store.known() is None

    async def test_no_cursor_until_something_was_journalled(self, store: Store, home: Home) -> None:
        """Nothing journalled is None; an empty batch is a beginning: from then on it is an empty dict."""
        assert await store.known() is None
        assert await store.journal(Batch()) == 0
        assert await store.known() == {}
        assert await (await home.open()).known() == {}

    async def test_known_follows_the_batches(self, store: Store, home: Home) -> None:
        """A batch changes the containers it names and no others; None forgets one, known before or not."""
        web, db = Known("web", "nginx", True, "2026-01-01T00:00:00.5Z"), Known("db", "pg", False)
        await store.journal(Batch(known={WEB: web, DB: db}))
        await store.journal(Batch(known={DB: None, "c" * 64: None}))
        await store.journal(Batch(known={WEB: replace(web, name="www")}))
        assert await (await home.open()).known() == {WEB: replace(web, name="www")}

    async def test_rows_wait_in_order(self, store: Store, home: Home) -> None:
        """Rows are handed out oldest first, at most as many as asked for, just as they came, numbered upwards."""
        given = [row("3", inferred=True), row("1"), row("2", DB)]
        assert await store.journal(Batch(given)) == 3
        found = await (await home.open()).pending(100)
        assert found == given
        assert [row.seq for row in found] == sorted({row.seq for row in found})
        assert await (await home.open()).pending(2) == given[:2]

    async def test_results_go_before_events(self, store: Store, home: Home) -> None:
        """Somebody waits for the result of a job, however many events wait to be delivered."""
        await store.journal(rows("1", "2"))
        await store.end_job("never saved", [result("r1"), result("r2")])
        store = await home.open()
        assert await keys(store) == ["r1", "r2", "1", "2"]
        assert [row.key for row in await store.pending(3)] == ["r1", "r2", "1"]

    async def test_a_row_is_appended_once(self, store: Store) -> None:
        """A key that is there, waiting or delivered or twice in one batch, is passed over, and is not counted."""
        assert await store.journal(rows("1", "2", "2")) == 2
        await store.delivered([(await store.pending(1))[0].seq])
        assert await store.journal(rows("1", "2", "3")) == 1
        assert await keys(store) == ["2", "3"]

    async def test_a_known_row_still_brings_its_state(self, store: Store) -> None:
        """The containers of a batch count even if none of its rows is new."""
        await store.journal(rows("1"))
        await store.journal(Batch([row("1")], {WEB: Known("web", "nginx", True)}))
        assert await store.known() == {WEB: Known("web", "nginx", True)}

    async def test_delivered_rows_wait_no_longer(self, store: Store, home: Home) -> None:
        """What was delivered is not handed out again, not even after a restart, in whatever order it was told."""
        await store.journal(rows("1", "2", "3"))
        first, _, third = await store.pending(3)
        await store.delivered([third.seq, first.seq])
        await store.delivered([])
        assert await keys(await home.open()) == ["2"]

    async def test_adopted_rows_wait_no_longer(self, store: Store, home: Home) -> None:
        """All that waits counts as delivered, and only that is counted."""
        await store.journal(rows("1", "2", "3"))
        await store.delivered([(await store.pending(1))[0].seq])
        assert await store.adopt() == 2
        assert await store.adopt() == 0
        assert await keys(await home.open()) == []

    async def test_delivered_rows_are_still_seen(self, store: Store, home: Home) -> None:
        """A key is remembered whether or not its row was delivered."""
        await store.journal(rows("1", "2"))
        await store.adopt()
        await store.journal(rows("3"))
        assert await (await home.open()).seen() == {"1", "2", "3"}

    async def test_the_newest_2048_are_seen(self, store: Store) -> None:
        """Eight times what the engine can replay is remembered."""
        await store.journal(rows(*map(str, range(2100))))
        assert await store.seen() == {str(key) for key in range(52, 2100)}

    async def test_journalling_at_once(self, store: Store) -> None:
        """Calls at the same time are each told their own count, and share keys like calls one after the other."""
        calls = [store.journal(rows(f"own {n}", "shared")) for n in range(50)]
        assert await asyncio.gather(*calls) == [2] + [1] * 49
        assert len(await keys(store)) == 51

    async def test_a_command_begins_once(self, store: Store, home: Home) -> None:
        """The first to begin a command gets None, everybody after it what the first one recorded."""
        assert await store.begin(entry()) is None
        assert await store.begin(entry()) == entry()
        assert await store.begin(entry(sha256="another")) == entry()
        assert await (await home.open()).begin(entry()) == entry()

    async def test_beginning_at_once(self, store: Store) -> None:
        """However many begin a command at the same time, exactly one of them may carry it out."""
        answers = await asyncio.gather(*(store.begin(entry()) for _ in range(10)))
        assert sorted(answers, key=lambda answer: answer is not None) == [None] + [entry()] * 9

    async def test_the_outcome_is_given_again(self, store: Store, home: Home) -> None:
        """A finished command answers with its outcome from then on; the first outcome stays."""
        await store.begin(entry())
        await store.finish("c1", {"success": True, "container_id": WEB})
        await store.finish("c1", {"success": False})
        finished = replace(entry(), outcome={"success": True, "container_id": WEB})
        assert await store.begin(entry()) == finished
        assert await (await home.open()).begin(entry()) == finished

    async def test_finishing_what_never_began(self, store: Store) -> None:
        """A command whose record is gone can be finished, and is recorded nowhere."""
        await store.finish("c1", {"success": True})
        assert await store.begin(entry()) is None

    async def test_an_outcome_is_small(self, store: Store) -> None:
        """Over 4 KiB it is a defect of the caller: replies that large belong to commands that only read."""
        await store.begin(entry())
        with pytest.raises(ValueError, match="does not belong in the ledger"):
            await store.finish("c1", {"output": "x" * 5000})
        assert await store.begin(entry()) == entry()

    async def test_unanswered_are_those_of_a_dead_process(self, store: Store, home: Home) -> None:
        """Our own are not among them; those that a dead one finished are, unless their reply arrived."""
        for command_id in ("dead 1", "answered", "dead 2", "finished"):
            await store.begin(entry(command_id))
        for command_id in ("answered", "finished"):
            await store.finish(command_id, {"success": True})
        await store.answered("answered")
        await store.answered("never begun")
        assert await store.unanswered() == []

        second = await home.open()
        await second.begin(entry("running"))
        finished = replace(entry("finished"), outcome={"success": True})
        assert await second.unanswered() == [entry("dead 1"), entry("dead 2"), finished]
        await second.answered("finished")
        assert await second.unanswered() == [entry("dead 1"), entry("dead 2")]

    async def test_jobs_are_found_again(self, store: Store, home: Home) -> None:
        """A job is where it was last said to be, in the order in which the jobs began, for the next process too."""
        await store.save_job(job("a", state="pulling"))
        await store.save_job(job("b", state="pulling"))
        await store.save_job(job("a", state="creating"))
        expected = [job("a", state="creating"), job("b", state="pulling")]
        assert await store.jobs() == expected
        assert await (await home.open()).jobs() == expected

    async def test_a_job_ends_with_its_results(self, store: Store, home: Home) -> None:
        """Its record goes and its results wait to be delivered, both or neither; ending it again adds nothing."""
        await store.save_job(job("a"))
        await store.save_job(job("b"))
        await store.end_job("a", [result("a done")])
        await store.end_job("a", [result("a done")])
        store = await home.open()
        assert await store.jobs() == [job("b")]
        assert await store.pending(9) == [result("a done")]

    async def test_a_result_that_is_not_json_ends_nothing(self, store: Store) -> None:
        """The job stays as it was, to be ended with something better."""
        await store.save_job(job("a"))
        with pytest.raises(ValueError, match="not JSON compliant"):
            await store.end_job("a", [Row("r", {"percent": float("nan")}, "update_complete")])
        assert await store.jobs() == [job("a")]
        assert await store.pending(9) == []

    async def test_a_result_begins_no_journal(self, store: Store) -> None:
        """Whether container events were ever journalled is another matter."""
        await store.end_job("a", [result("r")])
        assert await store.known() is None

    async def test_after_closing(self, store: Store) -> None:
        """Closing twice is nothing; anything else afterwards is an error that says so."""
        await store.close()
        await store.close()
        with pytest.raises(StoreError, match="closed"):
            await store.journal(rows("1"))
        with pytest.raises(StoreError, match="closed"):
            await store.identity()


# --- On disk


class Stores:
    """Opens stores and closes them after the test."""

    def __init__(self) -> None:
        self._open: list[SqliteStore] = []

    def __call__(self, data_path: Path, *, max_pending: int = 50_000) -> SqliteStore:
        store = SqliteStore(data_path, max_pending=max_pending)
        self._open.append(store)
        return store


@pytest.fixture
async def stores() -> AsyncIterator[Stores]:
    stores = Stores()
    yield stores
    for store in stores._open:
        await store.close()


def warnings(caplog: pytest.LogCaptureFixture) -> Sequence[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def found_in(directory: Path, pattern: str = "*") -> Sequence[Path]:
    return sorted(directory.glob(pattern))


def commits(data_path: Path) -> int:
    """How many transactions the write-ahead log holds: frames that carry the database's size end one."""
    log = (data_path / "agent.db-wal").read_bytes()
    page_bytes = int.from_bytes(log[8:12], "big")
    frames = range(32, len(log), 24 + page_bytes)
    return sum(log[at + 4 : at + 8] != bytes(4) for at in frames)


async def test_calls_that_wait_share_a_transaction(stores: Stores, tmp_path: Path) -> None:
    """A hundred calls at once cost two syncs: the first call's, and one for all that came meanwhile."""
    store = stores(tmp_path)
    await store.prove_writable()
    before = commits(tmp_path)
    await asyncio.gather(*(store.journal(rows(str(n))) for n in range(100)))
    assert commits(tmp_path) - before == 2


async def test_a_payload_that_is_not_json_fails_alone(stores: Stores, tmp_path: Path) -> None:
    """A defect in one batch is its caller's; those that wait with it are written."""
    store = stores(tmp_path)
    bad = Batch([Row("bad", {"container_id": WEB, "oops": object()})])
    answers = await asyncio.gather(
        *(store.journal(rows("1")), store.journal(bad), store.journal(rows("2"))),
        return_exceptions=True,
    )
    assert answers[0] == answers[2] == 1
    assert isinstance(answers[1], TypeError)


async def test_a_cancelled_call_disturbs_nobody(stores: Stores, tmp_path: Path) -> None:
    """Who gives up waiting for a transaction does not take it from those who share it."""
    store = stores(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(store.journal(rows(str(n)))) for n in range(3)]
        await asyncio.sleep(0)
        calls[1].cancel()
    assert calls[2].result() == 1
    assert await keys(store) == ["0", "1", "2"]


async def test_closing_writes_what_waits(tmp_path: Path, stores: Stores) -> None:
    """A journal call that was made before the close is carried out."""
    store = stores(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(store.journal(rows(str(n)))) for n in range(3)]
        await asyncio.sleep(0)
        await store.close()
    assert [call.result() for call in calls] == [1, 1, 1]
    assert await keys(stores(tmp_path)) == ["0", "1", "2"]


async def test_the_volume_of_a_go_agent_is_taken_over(stores: Stores, tmp_path: Path) -> None:
    """Of a volume with nothing but the token we are that agent, and know nothing else yet."""
    (tmp_path / "permanent_token").write_text(TOKEN + "\n")
    store = stores(tmp_path)
    assert await store.identity() == Identity(permanent_token=TOKEN, agent_id=TOKEN)
    assert await store.known() is None


async def test_the_token_is_nowhere_else(stores: Stores, tmp_path: Path) -> None:
    """Of all our files only its own holds the token, and none can be read by others."""
    store = stores(tmp_path)
    await store.save_identity(WHO)
    files = found_in(tmp_path)
    assert [p.name for p in files if TOKEN.encode() in p.read_bytes()] == ["permanent_token"]
    assert {"agent.db", "agent.db-wal", "agent.lock", "permanent_token"} <= {p.name for p in files}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


async def test_closed_it_is_one_file(stores: Stores, tmp_path: Path) -> None:
    """Closing writes the log into the database, so that a copy of the one file is a copy of all."""
    store = stores(tmp_path)
    await store.journal(rows("1"))
    await store.close()
    assert [path.name for path in found_in(tmp_path)] == ["agent.db", "agent.lock"]


# --- Bounds


async def test_a_full_queue_drops_the_oldest(
    stores: Stores, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond the bound the oldest rows go, but the last word on each container that exists stays."""
    store = stores(tmp_path, max_pending=10)
    exists = {id_: Known("name", "image", True) for id_ in (WEB, DB)}
    await store.journal(Batch([row("last of db", DB)], exists))
    for n in range(12):
        await store.journal(rows(str(n)))
    assert await keys(store) == ["last of db", *map(str, range(3, 12))]
    assert warnings(caplog) == [
        "10 events wait for the server, which is as many as are kept: the 1 oldest were dropped; "
        "the last one of each container that exists is kept"
    ]


@pytest.mark.parametrize("spoiled", ['{"state": "pul', "[]", "7"])
async def test_a_record_that_is_spoiled(stores: Stores, tmp_path: Path, spoiled: str) -> None:
    """Its job is found with an empty one, and can be ended; the other jobs are as they were."""
    first = stores(tmp_path)
    await first.save_job(job("a", state="pulling"))
    await first.save_job(job("b", state="pulling"))
    await first.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "agent.db")) as db, db:
        db.execute("UPDATE jobs SET record = ? WHERE id = 'a'", (spoiled,))
    second = stores(tmp_path)
    assert await second.jobs() == [job("a"), job("b", state="pulling")]
    await second.end_job("a", [])
    assert await second.jobs() == [job("b", state="pulling")]


async def test_a_row_that_is_spoiled(stores: Stores, tmp_path: Path) -> None:
    """It is not handed out, and holds up none of the others."""
    first = stores(tmp_path)
    await first.journal(rows("1", "2"))
    await first.end_job("a", [result("r1"), result("r2")])
    await first.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "agent.db")) as db, db:
        db.execute("UPDATE outbox SET payload = substr(payload, 2) WHERE key IN ('1', 'r1')")
    assert await keys(stores(tmp_path)) == ["r2", "2"]


async def test_a_full_queue_keeps_results(stores: Stores, tmp_path: Path) -> None:
    """However many events come, what became of a job is not dropped for them."""
    store = stores(tmp_path, max_pending=3)
    await store.end_job("a", [result("r1"), result("r2")])
    for n in range(12):
        await store.journal(rows(str(n)))
    assert await keys(store) == ["r1", "r2", "11"]


async def test_dropping_is_told_again_after_a_minute(
    stores: Stores, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A queue that overflows all the time is not a log that does, and a delivery ends the matter."""
    store = stores(tmp_path, max_pending=1)
    await store.journal(rows("1", "2"))
    for n in range(59):
        await asyncio.sleep(1)
        await store.journal(rows(f"again {n}"))
    assert len(warnings(caplog)) == 1
    await asyncio.sleep(1)
    await store.journal(rows("a minute later"))
    assert "the 61 oldest" in warnings(caplog)[-1]

    await store.delivered([row.seq for row in await store.pending(10)])
    await store.journal(rows("x", "y"))
    assert "the 1 oldest" in warnings(caplog)[-1]
    assert len(warnings(caplog)) == 3


async def test_containers_that_come_and_go_do_not_break_the_bound(
    stores: Stores, tmp_path: Path
) -> None:
    """Where only last words are left, those on containers that are gone make room."""
    store = stores(tmp_path, max_pending=5)
    await store.journal(Batch([row("kept", WEB)], {WEB: Known("web", "nginx", True)}))
    await store.journal(Batch([row(str(n), f"{n:064x}") for n in range(20)]))
    assert await keys(store) == ["kept", "16", "17", "18", "19"]


async def test_delivered_rows_are_forgotten_in_time(stores: Stores, tmp_path: Path) -> None:
    """The file does not grow with what was delivered, and what waits stays however old it is."""
    store = stores(tmp_path)
    await store.journal(rows("waits"))
    for part in range(5):
        await store.journal(rows(*(f"{part} {n}" for n in range(1000))))
        await store.delivered([row.seq for row in (await store.pending(2000))[1:]])
    await store.journal(rows("last"))
    db = sqlite3.connect(tmp_path / "agent.db")
    (count,) = db.execute("SELECT count(*) FROM outbox").fetchone()
    db.close()
    assert 2048 <= count <= 2048 + 256 + 2
    assert await keys(store) == ["waits", "last"]
    assert len(await store.seen()) == 2048


async def test_the_ledger_forgets_after_a_week(stores: Stores, tmp_path: Path) -> None:
    """Seven days after it was finished a command is forgotten; one that was not finished never is."""
    store = stores(tmp_path)
    for command_id in ("finished", "running"):
        await store.begin(entry(command_id))
    await store.finish("finished", {"success": True})
    await asyncio.sleep(timedelta(days=6.9).total_seconds())
    assert await store.begin(entry("finished")) is not None
    await asyncio.sleep(timedelta(days=0.2).total_seconds())
    assert await store.begin(entry("finished")) is None
    assert await store.begin(entry("running")) is not None


async def test_the_ledger_is_bounded(stores: Stores, tmp_path: Path) -> None:
    """Of 10 000 commands the oldest finished one makes room for the next."""
    store = stores(tmp_path)
    await store.begin(entry("running"))
    db = sqlite3.connect(tmp_path / "agent.db")
    with db:
        db.executemany(
            "INSERT INTO ledger VALUES (?, '', '', '', 'redo', '', '', '{}', '2026-01-01', 1)",
            [(str(n),) for n in range(9_999)],
        )
    await store.begin(entry("next"))
    (count,) = db.execute("SELECT count(*) FROM ledger").fetchone()
    db.close()
    assert count == 10_000
    assert await store.begin(entry("running")) is not None
    assert await store.begin(entry("0")) is None


# --- Directories that cannot be used


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A data path below a plain file: not even root can make it. Remove the file, and it can be made."""
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file" / "data"


async def test_the_proof_says_what_is_wrong(stores: Stores, blocked: Path) -> None:
    """The path, the cause and the remedy are in the error."""
    with pytest.raises(StoreError) as error:
        await stores(blocked).prove_writable()
    assert str(error.value) == (
        f"{blocked} cannot be used: not a directory; "
        "mount a named volume there, or choose a directory that can be written"
    )


async def test_without_a_directory_memory_does(
    stores: Stores, blocked: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All but the proof and saving a token works, and what that costs is said once."""
    store = stores(blocked)
    assert await store.identity() == Identity()
    assert await store.journal(Batch([row("1")], {WEB: Known("web", "nginx", True)})) == 1
    assert await keys(store) == ["1"]
    assert await store.begin(entry()) is None
    await store.finish("c1", {"success": True})
    assert await store.begin(entry()) == replace(entry(), outcome={"success": True})
    with pytest.raises(StoreError, match="not a directory"):
        await store.save_identity(WHO)
    with pytest.raises(StoreError, match="not a directory"):
        await store.prove_writable()
    (warning,) = warnings(caplog)
    assert "works in memory: a restart loses" in warning


async def test_memory_moves_to_the_directory(stores: Stores, blocked: Path) -> None:
    """Once the directory can be used the next proof moves all of it there, with the token that was not saved."""
    store = stores(blocked)
    await store.journal(Batch([row("1"), row("2")], {WEB: Known("web", "nginx", True)}))
    await store.begin(entry())
    with pytest.raises(StoreError):
        await store.save_identity(WHO)
    in_flight = (await store.pending(1))[0].seq

    blocked.parent.unlink()
    await store.prove_writable()
    await store.delivered([in_flight])  # confirmed under the number it had in memory
    assert await store.unanswered() == []  # it is still ours
    await store.close()

    found = stores(blocked)
    assert await found.identity() == WHO
    assert await keys(found) == ["2"]
    assert await found.seen() == {"1", "2"}
    assert await found.known() == {WEB: Known("web", "nginx", True)}
    assert await found.unanswered() == [entry()]


async def test_memory_joins_what_the_directory_holds(stores: Stores, tmp_path: Path) -> None:
    """What is in the file and what is in memory become one: older rows first, newer knowledge wins."""
    first = stores(tmp_path)
    await first.save_identity(WHO)
    await first.journal(
        Batch([row("1"), row("2")], {WEB: Known("web", "old", True), DB: Known("db", "pg", True)})
    )
    second = stores(tmp_path)  # in memory, for the directory is taken
    await second.journal(Batch([row("2"), row("3")], {WEB: Known("web", "new", True)}))
    in_flight = (await second.pending(1))[0]
    await first.save_job(job("a", state="old"))
    await second.save_job(job("b"))
    await second.save_job(job("a", state="new"))
    await first.close()

    await second.prove_writable()
    await second.delivered([in_flight.seq])
    assert in_flight.key == "2"
    assert await keys(second) == ["1", "3"]
    assert await second.known() == {WEB: Known("web", "new", True)}
    assert await second.identity() == WHO
    assert await second.jobs() == [job("b"), job("a", state="new")]


async def test_two_agents_do_not_share_a_directory(
    stores: Stores, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The second one is told, writes nothing there, and above all not over the first one's token."""
    first, second = stores(tmp_path), stores(tmp_path)
    await first.save_identity(WHO)
    assert await second.journal(rows("second's")) == 1
    (warning,) = warnings(caplog)
    assert warning.startswith(f"another agent uses {tmp_path}; ")
    with pytest.raises(StoreError, match="another agent"):
        await second.prove_writable()
    with pytest.raises(StoreError, match="another agent"):
        await second.save_identity(replace(WHO, permanent_token="other", agent_id="other"))
    assert await first.identity() == WHO
    assert await keys(first) == []


@pytest.fixture
def immutable(tmp_path: Path) -> Iterator[Path]:
    """A directory that not even root can write to."""
    path = tmp_path / "immutable"
    path.mkdir()
    if subprocess.run(["chattr", "+i", path], capture_output=True, check=False).returncode:
        pytest.skip("needs chattr, a file system that knows it, and root")
    yield path
    subprocess.run(["chattr", "-i", path], check=True)


async def test_a_directory_that_forbids_it(stores: Stores, immutable: Path) -> None:
    """The error names our uid."""
    with pytest.raises(StoreError, match=f"operation not permitted for uid {os.geteuid()}; "):
        await stores(immutable).prove_writable()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    path = tmp_path / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to be allowed to mount")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        while os.statvfs(disk).f_bavail:
            file.write(bytes(4096))
    return filler


def enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)


async def test_a_disk_that_is_full_at_the_start(stores: Stores, small_disk: Path) -> None:
    """It is said before a token is spent, and proved again once there is space."""
    filler = fill(small_disk)
    store = stores(small_disk)
    with pytest.raises(StoreError, match=r"no space left on device.*; free space"):
        await store.prove_writable()
    await store.journal(rows("1"))
    filler.unlink()
    await store.prove_writable()
    assert (small_disk / "agent.db").exists()
    assert await keys(store) == ["1"]


async def test_memory_that_does_not_fit_the_disk(stores: Stores, small_disk: Path) -> None:
    """What cannot be moved stays in memory as a whole, until it fits."""
    filler = fill(small_disk)
    store = stores(small_disk)
    big = Batch([Row("big", {"container_id": WEB, "filler": "x" * 300_000})])
    await store.journal(big)
    filler.unlink()
    with pytest.raises(StoreError, match="no space left on device"):
        await store.prove_writable()
    assert await store.pending(10) == big.rows

    enlarge(small_disk)
    await store.prove_writable()
    await store.close()
    assert await stores(small_disk).pending(10) == big.rows


async def test_a_disk_that_fills_up(stores: Stores, small_disk: Path) -> None:
    """What cannot be written is an error, nothing of it is there, and all goes on once there is space."""
    store = stores(small_disk)
    await store.journal(rows("before"))
    filler = fill(small_disk)
    big = Batch([Row("big", {"container_id": WEB, "filler": "x" * 200_000})])
    with pytest.raises(StoreError, match=r"no space left on device.*; free space"):
        await store.journal(big)
    with pytest.raises(StoreError, match="no space left on device"):
        await store.save_identity(WHO)
    with pytest.raises(StoreError, match="no space left on device"):
        await store.prove_writable()
    assert await keys(store) == ["before"]
    assert await store.identity() == WHO  # in memory, until it can be written

    filler.unlink()
    await store.prove_writable()
    await store.journal(rows("after"))
    await store.close()
    found = stores(small_disk)
    assert await keys(found) == ["before", "after"]
    assert await found.identity() == WHO


# --- Files that are damaged


async def written(stores: Stores, data_path: Path) -> Path:
    store = stores(data_path)
    await store.save_identity(WHO)
    await store.journal(rows(*(f"{n:0100}" for n in range(500))))
    await store.close()
    return data_path / "agent.db"


@pytest.mark.parametrize("harm", ["garbage", "truncated", "torn page", "malformed"])
async def test_a_damaged_file_is_kept_aside(
    stores: Stores, tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    """A new file is begun, the token is still ours, and the damaged file is there for whoever wants to look."""
    file = await written(stores, tmp_path)
    content = file.read_bytes()
    match harm:
        case "garbage":
            damaged = b"power cut" * 1000
        case "truncated":
            damaged = content[: len(content) // 2]
        case "torn page":
            damaged = content[:8192] + bytes(4096) + content[12288:]
        case _:
            damaged = content.replace(b"CREATE TABLE", b"CREATE CHAIR")
    file.write_bytes(damaged)

    store = stores(tmp_path)
    assert await store.identity() == Identity(permanent_token=TOKEN, agent_id=TOKEN)
    assert await store.known() is None
    assert await store.journal(rows("new")) == 1
    assert (tmp_path / "agent.db.corrupt-20260101T000000Z").read_bytes() == damaged
    (warning,) = warnings(caplog)
    assert warning.startswith(f"{file} was damaged (")


async def test_only_the_newest_damaged_file_is_kept(stores: Stores, tmp_path: Path) -> None:
    """A disk that damages files again and again is not filled up with them."""
    for _ in range(3):
        (await written(stores, tmp_path)).write_bytes(b"power cut" * 1000)
        await asyncio.sleep(1)
    await stores(tmp_path).prove_writable()
    (kept,) = found_in(tmp_path, "agent.db.corrupt-*")
    assert kept.name == "agent.db.corrupt-20260101T000003Z"


async def test_the_log_of_a_damaged_file_goes(stores: Stores, tmp_path: Path) -> None:
    """What a killed process left in the log of a damaged file is not replayed into the new one."""
    living, dead = tmp_path / "living", tmp_path / "dead"
    dead.mkdir()
    await stores(living).journal(rows("1"))
    log = (living / "agent.db-wal").read_bytes()
    (dead / "agent.db-wal").write_bytes(log[:32] + b"power cut" * 500)
    (dead / "agent.db").write_bytes(b"power cut" * 1000)

    store = stores(dead)
    assert await store.journal(rows("2")) == 1
    assert await keys(store) == ["2"]
    (kept,) = found_in(dead, "*corrupt*")
    assert kept.name == "agent.db.corrupt-20260101T000000Z"


async def test_a_torn_log_loses_its_end_only(stores: Stores, tmp_path: Path) -> None:
    """A power cut in the middle of a transaction leaves those before it."""
    store = stores(tmp_path / "before")
    for n in range(20):
        await store.journal(rows(str(n)))
    cut = tmp_path / "after"
    cut.mkdir()
    for name in ("agent.db", "agent.db-wal"):
        (cut / name).write_bytes((tmp_path / "before" / name).read_bytes())
    with (cut / "agent.db-wal").open("rb+") as log:
        log.truncate((cut / "agent.db-wal").stat().st_size - 1000)

    found = await keys(stores(cut))
    assert found == [str(n) for n in range(len(found))]
    assert len(found) == 19


async def test_damage_while_running(stores: Stores, tmp_path: Path) -> None:
    """A file that is damaged under us fails one call; the next begins a new one."""
    store = stores(tmp_path)
    await store.save_identity(WHO)
    await store.journal(rows("1"))
    in_flight = (await store.pending(1))[0]
    vandal = sqlite3.connect(tmp_path / "agent.db")
    with vandal:
        vandal.execute("PRAGMA writable_schema = ON")
        vandal.execute("UPDATE sqlite_schema SET sql = 'nonsense' WHERE name = 'outbox'")
        vandal.execute("PRAGMA schema_version = 1000")
    vandal.close()
    with pytest.raises(StoreError, match="malformed"):
        await store.journal(rows("2"))

    assert await store.journal(rows("3")) == 1
    await store.delivered([in_flight.seq])  # of the damaged file: no row here has that number
    assert await keys(store) == ["3"]
    assert (await store.identity()).permanent_token == TOKEN
    assert found_in(tmp_path, "agent.db.corrupt-*")


async def test_a_file_of_a_newer_release_is_left_alone(
    stores: Stores, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After a step back to an older release the agent works in memory, under its own token, and says why."""
    file = await written(stores, tmp_path)
    db = sqlite3.connect(file)
    db.execute("PRAGMA user_version = 99")
    db.close()
    before = file.read_bytes()

    store = stores(tmp_path)
    assert (await store.identity()).permanent_token == TOKEN
    with pytest.raises(StoreError, match=r"newer release \(schema 99, this one knows 1\)"):
        await store.prove_writable()
    assert "newer release" in warnings(caplog)[0]
    await store.close()
    assert file.read_bytes() == before


async def test_somebody_looks_at_it(stores: Stores, tmp_path: Path) -> None:
    """A person with the sqlite3 tool may read while we write."""
    store = stores(tmp_path)
    await store.journal(rows("1"))
    db = sqlite3.connect(f"file:{tmp_path}/agent.db?mode=ro", uri=True)
    db.execute("BEGIN")
    assert db.execute("SELECT key FROM outbox").fetchall() == [("1",)]
    assert await store.journal(rows("2")) == 1
    assert db.execute("SELECT key FROM outbox").fetchall() == [("1",)]
    db.close()


async def test_time_stands_still_while_the_disk_works(stores: Stores, tmp_path: Path) -> None:
    """The thread is waited for, so that a scenario with the real store happens at exact instants."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FrozenLoop)
    store = stores(tmp_path)
    async with asyncio.timeout(0.000_001):
        await store.journal(rows("1"))
    assert loop.time() == 0
