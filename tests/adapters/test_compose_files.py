"""Compose files in trees that somebody else arranged, links, pipes and all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from agent.adapters.compose_files import LocalComposeFiles
from agent.adapters.compose_search import MAX_CHARS, MAX_FOUND, Search
from agent.adapters.safe_files import NotRegular, TooLarge, directory, read_file
from agent.core.compose_files import MAX_FILE_BYTES
from agent.ports import ComposeFile, ComposeFileRefused, ComposeFilesBusy, ComposeText

pytestmark = pytest.mark.real_time

WEB = "services: {web: {image: a}}\n"


def put(path: Path, text: str = WEB) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


async def search(*roots: Path, max_depth: int = 5) -> list[ComposeFile]:
    asked = [PurePosixPath(root) for root in roots]
    return await LocalComposeFiles().search(asked, max_depth=max_depth, budget_s=20)


async def paths(*roots: Path, max_depth: int = 5) -> list[str]:
    return [file.path for file in await search(*roots, max_depth=max_depth)]


async def read(path: Path | str) -> ComposeText:
    return await LocalComposeFiles().read(str(path), deadline_s=20)


# --- Searching


async def test_what_is_found(tmp_path: Path) -> None:
    """What the server shows of each file."""
    shop = put(tmp_path / "shop" / "Docker-Compose.YML", "services: {web: {}, db: {}}")
    os.utime(shop, (1_000_000_000, 1_000_000_000.5))
    named = put(tmp_path / "x" / "compose.yaml", f"name: named\n{WEB}")
    assert await search(tmp_path) == [
        ComposeFile(str(shop), "shop", ("web", "db"), 27, 1_000_000_000.5),
        ComposeFile(str(named), "named", ("web",), 40, named.stat().st_mtime),
    ]


async def test_how_deep(tmp_path: Path) -> None:
    """Counted from the root; a file that is found twice is told once."""
    files = [put(tmp_path / ("d/" * depth) / "compose.yml") for depth in range(7)]
    assert len(await paths(tmp_path, max_depth=0)) == 1
    assert len(await paths(tmp_path, max_depth=5)) == 6
    assert await paths(tmp_path / "d" / "d", tmp_path) == sorted(map(str, files))


LEFT_OUT: dict[str, Callable[[Path], object]] = {
    "a hidden directory": lambda top: put(top / ".hidden" / "compose.yml"),
    "a directory of a tool": lambda top: put(top / "node_modules" / "compose.yml"),
    "no services": lambda top: put(top / "compose.yml", "services: {}"),
    "no YAML": lambda top: put(top / "compose.yml", "services: ["),
    "a large file": lambda top: put(top / "compose.yml", WEB + "#" * MAX_FILE_BYTES),
    "another name": lambda top: put(top / "other.yml"),
    "a link to a file": lambda top: (top / "compose.yml").symlink_to(put(top / "target.yml")),
    "a link to a directory": lambda top: (top / "link").symlink_to(
        put(top.parent / "away" / "compose.yml").parent
    ),
    "a link to itself": lambda top: (top / "loop").symlink_to(top),
    "a pipe": lambda top: os.mkfifo(top / "compose.yml"),
    "a directory of the name": lambda top: (top / "compose.yml").mkdir(),
    "a directory that is no UTF-8": lambda top: put(top / "\udcff" / "compose.yml"),
}


@pytest.mark.parametrize("make", LEFT_OUT.values(), ids=LEFT_OUT)
async def test_what_is_left_out(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """Without a word, and it costs no other file its place."""
    top = tmp_path / "top"
    expected = put(top / "good" / "compose.yml")
    make(top)
    assert await paths(top) == [str(expected)]


async def test_roots_that_cannot_be_searched(tmp_path: Path) -> None:
    """Missing, no directory, no path at all."""
    expected = put(tmp_path / "compose.yml")
    assert await paths(tmp_path / "missing", expected, Path("/a\0b"), tmp_path) == [str(expected)]


async def test_a_root_that_is_a_link(tmp_path: Path) -> None:
    """It is followed, and what is found has its real path."""
    expected = put(tmp_path / "real" / "compose.yml")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert await paths(tmp_path / "link") == [str(expected)]


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A directory of the system's with a Compose file in it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        put(Path(directory) / "compose.yml")
        yield Path(directory)


async def test_links_into_the_system(tmp_path: Path, forbidden: Path) -> None:
    """What belongs to the system does not become the user's by a link."""
    (tmp_path / "link").symlink_to(forbidden)
    assert await paths(forbidden, tmp_path / "link", Path("/dev")) == []
    for top in (forbidden, tmp_path / "link"):
        with pytest.raises(ComposeFileRefused, match=r"^Path not allowed$"):
            await read(top / "compose.yml")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
async def test_a_directory_that_cannot_be_read(tmp_path: Path) -> None:
    """It is left out."""
    expected = put(tmp_path / "b" / "compose.yml")
    closed = put(tmp_path / "a" / "compose.yml").parent
    closed.chmod(0)
    try:
        assert await paths(tmp_path) == [str(expected)]
    finally:
        closed.chmod(0o700)


async def test_a_search_without_time(tmp_path: Path) -> None:
    """It ends, with what it had found by then."""
    put(tmp_path / "compose.yml")
    search = Search([PurePosixPath(tmp_path)], 5)
    search.stop()
    search.run()
    assert search.found() == []
    roots = [PurePosixPath("/")]
    found = await LocalComposeFiles().search(roots, max_depth=20, budget_s=0.05)
    assert isinstance(found, list)


async def test_more_than_anybody_reads(tmp_path: Path) -> None:
    """The list ends somewhere."""
    for number in range(MAX_FOUND + 5):
        put(tmp_path / str(number) / "compose.yml")
    assert len(await paths(tmp_path)) == MAX_FOUND


async def test_more_than_a_message_takes(tmp_path: Path) -> None:
    """Files whose names would fill the reply are left out for those that fit: one cannot spoil a search."""
    files = [put(tmp_path / "small" / "compose.yml")]
    for number in range(3):
        text = f"name: {'x' * (MAX_CHARS // 5 * 2)}\n{WEB}"
        files.append(put(tmp_path / f"a{number}" / "compose.yml", text))
    assert await paths(tmp_path) == sorted(str(file) for file in files if file != files[-1])


# --- Reading


async def test_what_is_read(tmp_path: Path) -> None:
    """The text as it is, and the env files beside it."""
    text = "services: {web: {env_file: [./web.env, missing.env, ../up.env, dir/x.env]}}\r\n# ü"
    path = put(tmp_path / "compose.yml", "")
    path.write_bytes(text.encode())
    put(tmp_path / ".env", "A=1\n")
    put(tmp_path / "web.env", "B=2\n")
    put(tmp_path / "other.env", "C=3\n")
    assert await read(path) == ComposeText(
        text,
        {".env": "A=1\n", "web.env": "B=2\n", "missing.env": ""},
        ["../up.env", "dir/x.env"],
    )


async def test_a_file_without_env_files(tmp_path: Path) -> None:
    """Nothing is made up, also for what is no YAML at all."""
    assert await read(put(tmp_path / "compose.yml", "a: [")) == ComposeText("a: [", {}, [])


SKIPPED: dict[str, Callable[[Path], object]] = {
    "a link": lambda env: env.symlink_to("/etc/passwd"),
    "a large file": lambda env: put(env, "#" * (MAX_FILE_BYTES + 1)),
    "a pipe": lambda env: os.mkfifo(env),
    "a directory": lambda env: env.mkdir(),
}


@pytest.mark.parametrize("make", SKIPPED.values(), ids=SKIPPED)
@pytest.mark.parametrize("name", [".env", "web.env"])
async def test_env_files_that_are_skipped(
    tmp_path: Path, name: str, make: Callable[[Path], object]
) -> None:
    """A link, one that is too large, what is no file: named, not read."""
    make(tmp_path / name)
    path = put(tmp_path / "compose.yml", "services: {web: {env_file: [web.env]}}")
    read_ = await read(path)
    assert read_.skipped == [name]
    assert name not in read_.env_files


async def test_many_env_files(tmp_path: Path) -> None:
    """Together they fit into a reply; the rest is named."""
    names = [f"{number}.env" for number in range(6)]
    for name in names:
        put(tmp_path / name, "#" * MAX_FILE_BYTES)
    path = put(tmp_path / "compose.yml", f"services: {{web: {{env_file: [{', '.join(names)}]}}}}")
    read_ = await read(path)
    assert list(read_.env_files) == names[:4]
    assert read_.skipped == names[4:]


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "File not found or not accessible"),
    "a directory": (lambda path: path.mkdir(), "Path is a directory, not a file"),
    "a link": (
        lambda path: path.symlink_to(put(path.parent / "x.yml")),
        "Compose file is a symlink",
    ),
    "a link to nothing": (lambda path: path.symlink_to("missing"), "Compose file is a symlink"),
    "a large file": (
        lambda path: put(path, "#" * (MAX_FILE_BYTES + 1)),
        "File too large (max 1MB)",
    ),
    "a pipe": (lambda path: os.mkfifo(path), "Not a compose file"),
}


@pytest.mark.parametrize(("make", "error"), REFUSED.values(), ids=REFUSED)
async def test_what_is_not_given_out(
    tmp_path: Path, make: Callable[[Path], object], error: str
) -> None:
    """The reason is one that the server's users know."""
    make(tmp_path / "compose.yml")
    with pytest.raises(ComposeFileRefused) as refused:
        await read(tmp_path / "compose.yml")
    assert str(refused.value) == error


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/etc/compose.yml", "Path not allowed"),
        ("/opt/../etc/compose.yml", "Path not allowed"),
        ("/proc/self/root/etc/compose.yml", "Path not allowed"),
        ("compose.yml", "Path not allowed"),
        ("/opt/a\0/compose.yml", "Path not allowed"),
        ("/opt/shadow", "Not a compose file"),
        ("/", "Not a compose file"),
        ("/no/such/place/compose.yml", "File not found or not accessible"),
        ("/\ud800/compose.yml", "File not found or not accessible"),
        (f"/{'x' * 300}/compose.yml", "File not found or not accessible"),
    ],
)
async def test_paths_that_lead_nowhere(path: str, error: str) -> None:
    """Neither into the system nor anywhere by tricks."""
    with pytest.raises(ComposeFileRefused) as refused:
        await read(path)
    assert str(refused.value) == error


async def test_a_directory_that_is_a_link_into_the_system(tmp_path: Path) -> None:
    """What counts is where it leads, at whichever place of the path the link is."""
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "top").symlink_to(tmp_path)
    for path in (tmp_path / "link", tmp_path / "top" / "link", tmp_path / "link" / "ssl"):
        with pytest.raises(ComposeFileRefused, match=r"^Path not allowed$"):
            await read(path / "compose.yml")


async def test_a_directory_that_is_a_harmless_link(tmp_path: Path) -> None:
    """People keep their stacks elsewhere and link to them."""
    put(tmp_path / "real" / "compose.yml")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert (await read(tmp_path / "link" / "compose.yml")).content == WEB


# --- A file system that does not answer


async def test_no_answer_in_time(tmp_path: Path) -> None:
    """The command fails; the thread is left to it."""
    path = put(tmp_path / "compose.yml")
    with pytest.raises(ComposeFilesBusy, match=r"^the file system has not answered for 0 s"):
        await LocalComposeFiles().read(str(path), deadline_s=0)


async def test_no_thread(tmp_path: Path) -> None:
    """Nothing more is asked of it when too many threads wait already."""
    files = LocalComposeFiles(max_threads=0)
    with pytest.raises(ComposeFilesBusy, match=r"^the file system has 0 questions to answer"):
        await files.read(str(tmp_path / "compose.yml"), deadline_s=5)
    with pytest.raises(ComposeFilesBusy, match=r"^the file system has 0 questions to answer"):
        await files.search([PurePosixPath(tmp_path)], max_depth=0, budget_s=5)


# --- Opening


def test_a_file_that_is_larger_than_it_says() -> None:
    """What is read is bounded, whatever the file system says of its size."""
    with directory(PurePosixPath("/proc/self")) as (descriptor, _):
        content, status = read_file(descriptor, "status", max_bytes=100_000)
        assert status.st_size < len(content)
        with pytest.raises(TooLarge):
            read_file(descriptor, "status", max_bytes=10)


def test_a_device() -> None:
    """It is not opened."""
    with directory(PurePosixPath("/dev")) as (descriptor, _), pytest.raises(NotRegular):
        read_file(descriptor, "zero", max_bytes=10)
