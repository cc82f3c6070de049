"""The permanent token's file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agent.adapters import token_file
from agent.ports import StoreError

TOKEN = "7c1e2f00-0000-4000-8000-00000000cafe"


def test_a_missing_file_is_no_token(tmp_path: Path) -> None:
    """Neither a missing file nor a missing directory is an error: there is no token yet."""
    assert token_file.read(tmp_path) == ""
    assert token_file.read(tmp_path / "missing") == ""


@pytest.mark.parametrize("content", [TOKEN, TOKEN + "\n", f" {TOKEN} \r\n"])
def test_white_space_is_no_part_of_it(tmp_path: Path, content: str) -> None:
    """A token written by hand or by the Go agent is taken over."""
    (tmp_path / "permanent_token").write_text(content)
    assert token_file.read(tmp_path) == TOKEN


def test_it_is_the_token_alone(tmp_path: Path) -> None:
    """The Go agent could go back to the volume: the file holds the token and nothing else."""
    token_file.write(tmp_path, TOKEN)
    assert (tmp_path / "permanent_token").read_bytes() == TOKEN.encode()
    assert [path.name for path in tmp_path.iterdir()] == ["permanent_token"]


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    """Its mode is 0600, even where a file with another mode was replaced and nothing is masked."""
    (tmp_path / "permanent_token").write_text("old")
    (tmp_path / "permanent_token").chmod(0o644)
    mask = os.umask(0)
    try:
        token_file.write(tmp_path, TOKEN)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "permanent_token").stat().st_mode) == 0o600


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """A link in the token's place is refused when read, and replaced when written; its target stays as it is."""
    target = tmp_path / "elsewhere"
    target.write_text("not yours")
    (tmp_path / "permanent_token").symlink_to(target)
    with pytest.raises(StoreError, match="symbolic link"):
        token_file.read(tmp_path)
    token_file.write(tmp_path, TOKEN)
    assert target.read_text() == "not yours"
    assert token_file.read(tmp_path) == TOKEN


def test_neither_is_one_in_the_place_of_the_temporary_file(tmp_path: Path) -> None:
    """What a dead process, or somebody else, left under the temporary name is removed, not written to."""
    target = tmp_path / "elsewhere"
    target.write_text("not yours")
    (tmp_path / "permanent_token.tmp").symlink_to(target)
    token_file.write(tmp_path, TOKEN)
    assert target.read_text() == "not yours"
    assert token_file.read(tmp_path) == TOKEN


@pytest.mark.parametrize("content", [b"\x00\x01\x02", "tökén".encode(), b"x" * 5000, b"two\nlines"])
def test_what_is_no_token_is_not_taken_for_one(tmp_path: Path, content: bytes) -> None:
    """A file that cannot be a token is an error, for "no token" would register the host a second time."""
    (tmp_path / "permanent_token").write_bytes(content)
    with pytest.raises(StoreError, match="does not hold a token"):
        token_file.read(tmp_path)
    token_file.write(tmp_path, TOKEN)
    assert token_file.read(tmp_path) == TOKEN


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    """A pipe that nobody writes to is an error at once."""
    os.mkfifo(tmp_path / "permanent_token")
    with pytest.raises(StoreError, match="not a plain file"):
        token_file.read(tmp_path)


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    """Docker makes a directory where a file was to be mounted and is missing; the error names it."""
    (tmp_path / "permanent_token").mkdir()
    with pytest.raises(StoreError, match="permanent_token is not a plain file"):
        token_file.read(tmp_path)
    with pytest.raises(StoreError, match="permanent_token cannot be used: is a directory"):
        token_file.write(tmp_path, TOKEN)


def test_the_same_token_is_not_written_again(tmp_path: Path) -> None:
    """A reconnect brings the token we have: the file is left alone."""
    token_file.write(tmp_path, TOKEN)
    before = (tmp_path / "permanent_token").stat().st_ino
    token_file.write(tmp_path, TOKEN)
    assert (tmp_path / "permanent_token").stat().st_ino == before


def test_no_token_is_no_file(tmp_path: Path) -> None:
    """Saving "" forgets the token."""
    token_file.write(tmp_path, TOKEN)
    token_file.write(tmp_path, "")
    assert list(tmp_path.iterdir()) == []
