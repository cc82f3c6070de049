"""The stacks directory: changed all at once or not at all, and never through a link."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from agent.adapters.stack_files import StackFiles
from agent.ports import StoreError

COMPOSE = "docker-compose.yml"
FIRST: Mapping[str, str | None] = {COMPOSE: "one", ".env": "A=1", "web.env": "B=1"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stacks"


@pytest.fixture
async def stacks(path: Path) -> AsyncIterator[StackFiles]:
    made = StackFiles(path)
    assert await made.obstacle() == ""
    yield made
    made.close()


async def deploy(stacks: StackFiles, files: Mapping[str, str | None]) -> None:
    await stacks.stage("paper", files)
    await stacks.commit("paper", files)


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def content(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


async def test_a_first_deployment(stacks: StackFiles, path: Path) -> None:
    """Everybody may read the project, nobody else its secrets; whatever the mask says."""
    mask = os.umask(0)
    try:
        await deploy(stacks, FIRST)
    finally:
        os.umask(mask)
    assert content(path / "paper") == FIRST
    assert stacks.place("paper") == str(path / "paper")
    modes = {each.name: mode(each) for each in (path / "paper").iterdir()}
    assert modes == {COMPOSE: 0o644, ".env": 0o600, "web.env": 0o600}
    assert mode(path / "paper") == mode(path) == 0o755


async def test_another_deployment(stacks: StackFiles, path: Path) -> None:
    """What is sent is replaced or added, what is None goes, everything else stays: data beside it too."""
    await deploy(stacks, FIRST)
    (path / "paper" / "data").mkdir()
    (path / "paper" / "data" / "kept").write_text("x")
    await deploy(stacks, {COMPOSE: "two", ".env": None, "new.env": "C=1"})
    assert (path / "paper" / "data" / "kept").read_text() == "x"
    files = {each.name: each.read_text() for each in (path / "paper").iterdir() if each.is_file()}
    assert files == {COMPOSE: "two", "web.env": "B=1", "new.env": "C=1"}
    assert names(path) == ["paper"]


async def test_links_in_the_place_of_directories(stacks: StackFiles, path: Path) -> None:
    """Whoever can write there cannot stop deployments or have us delete what is elsewhere: the link itself goes."""
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("x")
    (path / ".paper.new").symlink_to(elsewhere)
    await deploy(stacks, FIRST)
    assert content(path / "paper") == FIRST
    (path / ".other.new").symlink_to(elsewhere)
    (path / ".file.new").write_text("x")
    assert await StackFiles(path).obstacle() == ""
    assert (names(path), names(elsewhere)) == (["paper"], ["kept"])


async def test_what_is_staged(stacks: StackFiles, path: Path) -> None:
    """It shows the project as it would be; what is stored is not touched, and discarded is gone."""
    await deploy(stacks, FIRST)
    (path / "paper" / "extra.yml").write_text("more")
    staged = Path(await stacks.stage("paper", {COMPOSE: "two", ".env": None}))
    assert content(staged) == {COMPOSE: "two", "web.env": "B=1", "extra.yml": "more"}
    assert staged.parent == path
    await stacks.discard("paper")
    assert content(path / "paper") == {**FIRST, "extra.yml": "more"}
    assert names(path) == ["paper"]
    await stacks.discard("paper")


async def test_one_who_died_here(stacks: StackFiles, path: Path) -> None:
    """What was staged by then is in nobody's way, and goes at the next start."""
    await stacks.stage("paper", FIRST)
    await stacks.stage("paper", {COMPOSE: "two"})
    assert content(path / ".paper.new") == {COMPOSE: "two"}
    assert await StackFiles(path).obstacle() == ""
    assert names(path) == []


async def test_a_link_in_a_files_place(stacks: StackFiles, path: Path, tmp_path: Path) -> None:
    """It is replaced, and what it leads to stays as it is."""
    await deploy(stacks, FIRST)
    target = tmp_path / "elsewhere"
    target.write_text("not yours")
    for name in (COMPOSE, ".env"):
        (path / "paper" / name).unlink()
        (path / "paper" / name).symlink_to(target)
    await deploy(stacks, {COMPOSE: "two", ".env": "A=2"})
    assert target.read_text() == "not yours"
    assert content(path / "paper") == {COMPOSE: "two", ".env": "A=2", "web.env": "B=1"}
    assert not (path / "paper" / ".env").is_symlink()


async def test_a_link_in_a_projects_place(stacks: StackFiles, path: Path, tmp_path: Path) -> None:
    """Refused: whoever made it may have it lead anywhere. To delete it is to delete the link."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("not yours")
    (path / "paper").symlink_to(elsewhere)
    with pytest.raises(StoreError, match="is a link or a file"):
        await stacks.stage("paper", FIRST)
    await stacks.remove("paper")
    assert names(path) == []
    assert content(elsewhere) == {"file": "not yours"}


async def test_a_directory_in_a_files_place(stacks: StackFiles, path: Path) -> None:
    """Docker makes one where a file was to be mounted; it is refused before anything is replaced."""
    await deploy(stacks, FIRST)
    (path / "paper" / "web.env").unlink()
    (path / "paper" / "web.env").mkdir()
    with pytest.raises(StoreError, match=r"web\.env is a directory where a file has to be"):
        await stacks.stage("paper", {COMPOSE: "two", "web.env": "B=2"})
    assert (path / "paper" / COMPOSE).read_text() == "one"
    assert names(path) == ["paper"]


async def test_removal(stacks: StackFiles, path: Path, tmp_path: Path) -> None:
    """All of the directory goes, and nothing that links in it lead to; one that is not there is fine."""
    await deploy(stacks, FIRST)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("not yours")
    (path / "paper" / "link").symlink_to(elsewhere)
    await stacks.remove("paper")
    assert names(path) == []
    assert content(elsewhere) == {"file": "not yours"}
    await stacks.remove("paper")


async def test_text_that_is_none(stacks: StackFiles, path: Path) -> None:
    """Half a character cannot be written; it does not stop the rest."""
    await deploy(stacks, {COMPOSE: "a\ud800b"})
    assert (path / "paper" / COMPOSE).read_text() == "a?b"


# --- Bad disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to be allowed to mount")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


async def test_a_full_disk(small_disk: Path) -> None:
    """What was stored is as it was, in all its files; nothing half-done is left, and the error says what to do."""
    stacks = StackFiles(small_disk)
    assert await stacks.obstacle() == ""
    await deploy(stacks, FIRST)
    with pytest.raises(StoreError, match=r"no space left on device; free space"):
        await stacks.stage("paper", {COMPOSE: "two", "web.env": "x" * 300_000})
    assert content(small_disk / "paper") == FIRST
    assert names(small_disk) == ["paper"]


async def test_a_disk_that_fills_up_before_the_end(small_disk: Path) -> None:
    """What was staged can still be put in place: that takes no space."""
    stacks = StackFiles(small_disk)
    await deploy(stacks, FIRST)
    files: Mapping[str, str | None] = {COMPOSE: "two", ".env": None, "new.env": "C=1"}
    await stacks.stage("paper", files)
    with (small_disk / "filler").open("wb", buffering=0) as filler:
        while os.statvfs(small_disk).f_bavail:
            filler.write(bytes(4096))
    await stacks.commit("paper", files)
    assert content(small_disk / "paper") == {COMPOSE: "two", "web.env": "B=1", "new.env": "C=1"}


@pytest.fixture
def immutable(tmp_path: Path) -> Iterator[Path]:
    """A stacks directory in which a project's directory cannot be changed, not even by root."""
    project = tmp_path / "stacks" / "paper"
    project.mkdir(parents=True)
    (project / COMPOSE).write_text("one")
    if subprocess.run(["chattr", "+i", project], capture_output=True, check=False).returncode:
        pytest.skip("needs chattr, a file system that knows it, and root")
    yield project.parent
    subprocess.run(["chattr", "-i", project], check=True)


async def test_a_commit_that_fails(immutable: Path) -> None:
    """Everything stored is as it was."""
    stacks = StackFiles(immutable)
    with pytest.raises(StoreError, match="operation not permitted"):
        await deploy(stacks, {COMPOSE: "two", "web.env": "B=1"})
    assert content(immutable / "paper") == {COMPOSE: "one"}
    assert names(immutable) == ["paper"]


async def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    """Told at the start, with the path: the capability depends on it."""
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in await StackFiles(tmp_path / "file" / "stacks").obstacle()
