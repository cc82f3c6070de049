"""The data directory: what is said when it cannot be used."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from agent.adapters import data_dir
from agent.ports import StoreError

DATA = Path("/data")


@pytest.mark.parametrize(
    ("number", "cause", "remedy"),
    [
        (errno.EACCES, f"permission denied for uid {os.geteuid()}", f"chown -R {os.geteuid()} "),
        (errno.EPERM, f"operation not permitted for uid {os.geteuid()}", "chown"),
        (errno.EROFS, "read-only file system", "mount a named volume there"),
        (errno.ENOSPC, "no space left on device", "free space"),
        (errno.EDQUOT, "disk quota exceeded", "free space"),
        (errno.EIO, "input/output error", "check the disk"),
        (errno.ENOTDIR, "not a directory", "choose a directory"),
    ],
)
def test_each_errno_has_its_remedy(number: int, cause: str, remedy: str) -> None:
    """The text names the path, the cause and what to do."""
    text = str(data_dir.unusable(DATA, OSError(number, os.strerror(number))))
    assert text.startswith(f"/data cannot be used: {cause}; ")
    assert remedy in text


def test_an_error_of_sqlite_reads_like_one_of_the_system(tmp_path: Path) -> None:
    """A full database is a full disk to the user, whatever SQLite calls it."""
    db = sqlite3.connect(tmp_path / "small.db")
    db.execute("PRAGMA max_page_count = 2")
    db.execute("CREATE TABLE filled(content)")
    with pytest.raises(sqlite3.OperationalError) as full:
        db.execute("INSERT INTO filled VALUES (zeroblob(100000))")
    db.close()
    assert str(data_dir.unusable(DATA, full.value)) == (
        "/data cannot be used: no space left on device: database or disk is full; "
        "free space on its file system; nothing needs to be restarted"
    )


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    """Proving makes the directory, readable by us alone, and leaves nothing in it."""
    path = tmp_path / "deep" / "data"
    data_dir.prove_writable(path)
    assert path.stat().st_mode & 0o777 == 0o700
    assert list(path.iterdir()) == []


def test_what_a_dead_process_left_is_no_hindrance(tmp_path: Path) -> None:
    """A probe file left by a process that was killed is replaced and removed."""
    (tmp_path / ".writable").write_bytes(b"half")
    data_dir.prove_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_agent_a_directory(tmp_path: Path) -> None:
    """The second to lock is told so; once the first lets go it may."""
    first = data_dir.lock(tmp_path)
    with pytest.raises(StoreError, match=f"another agent uses {tmp_path}"):
        data_dir.lock(tmp_path)
    os.close(first)
    os.close(data_dir.lock(tmp_path))
