"""The one file from a server with TLS: what is taken, and what is refused with what to do."""

from __future__ import annotations

import asyncio
import hashlib
import io
import ssl
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from certificates import self_signed
from fakes.http_server import Answer, Asked, saying, serving

from agent.adapters import native_release
from agent.adapters.native_release import FetchFailed, fetch
from agent.release_archive import Member, pack

pytestmark = pytest.mark.real_time

FILES = {"start.py": b"start", "site-packages/agent/__init__.py": b"", "manifest.json": b"{}\n"}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "update" / "staging").mkdir(parents=True)
    return tmp_path / "update" / "staging"


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    return self_signed(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> bytes:
    """What `release pyz` makes, in small."""
    members = [Member(f"release/{path}", content) for path, content in FILES.items()]
    pack(tmp_path / "x.pyz", [*members, Member("__main__.py", b""), Member("keys/a.pub", b"00")])
    return (tmp_path / "x.pyz").read_bytes()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def fetched(
    answer: Answer,
    checksum: str | None,
    into: Path,
    tls: tuple[ssl.SSLContext, Path],
    *,
    deadline_s: float = 20,
) -> Path:
    context, ca_cert = tls
    async with serving(answer, context) as server:
        return await fetch(
            server.url("/agent.pyz?signature=secret"),
            checksum,
            into,
            ca_cert=ca_cert,
            deadline_s=deadline_s,
        )


async def test_a_release(file: bytes, into: Path, tls: tuple[ssl.SSLContext, Path]) -> None:
    """Only the release is unpacked, and nothing of the file is left beside it."""
    release = await fetched(saying("200 OK", body=file), sha256(file), into, tls)
    found = {p.relative_to(release).as_posix() for p in release.rglob("*") if p.is_file()}
    assert found == FILES.keys()
    assert release == into
    assert names_in(into.parent) == ["staging"]


async def test_progress(file: bytes, into: Path, tls: tuple[ssl.SSLContext, Path]) -> None:
    """It ends with all that there was."""
    told: list[tuple[int, int | None]] = []
    async with serving(saying("200 OK", body=file), tls[0]) as server:
        await fetch(
            server.url(),
            f"SHA256:{sha256(file).upper()}".replace("SHA256", "sha256"),
            into,
            ca_cert=tls[1],
            deadline_s=20,
            progress=lambda got, whole: told.append((got, whole)),
        )
    assert told[-1] == (len(file), len(file))


async def test_redirects(file: bytes, into: Path, tls: tuple[ssl.SSLContext, Path]) -> None:
    """As long as they lead to https."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.path == "/there":
            await saying("200 OK", body=file)(asked, writer)
        else:
            await saying("302 Found", "Location: /there")(asked, writer)

    assert (await fetched(answer, sha256(file), into, tls)).is_dir()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (saying("404 Not Found"), "HTTP 404: see whether the release is published"),
        (saying("302 Found", "Location: http://127.0.0.1:1/x"), "is not an https address"),
        (saying("302 Found", "Location: ftp://x/"), "redirects to what is no address"),
        (saying("302 Found", "Location: /again"), "more than 5 redirects"),
        (saying("200 OK", body=b"another"), "was damaged on the way or is another one"),
    ],
)
async def test_answers_that_are_no_release(
    answer: Answer, why: str, into: Path, tls: tuple[ssl.SSLContext, Path]
) -> None:
    """Each is refused with what to do, and without the query, which may be a secret."""
    with pytest.raises(FetchFailed, match=why) as failed:
        await fetched(answer, "0" * 64, into, tls)
    assert "secret" not in str(failed.value)
    assert names_in(into.parent) == ["staging"]


async def test_a_file_that_is_too_large(into: Path, tls: tuple[ssl.SSLContext, Path]) -> None:
    """It is not even begun, if the server says so."""
    length = native_release.MAX_DOWNLOAD_BYTES + 1

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())

    with pytest.raises(FetchFailed, match="no release is that large"):
        await fetched(answer, "0" * 64, into, tls)
    assert names_in(into) == []
    assert names_in(into.parent) == ["staging"]


async def test_a_server_that_stalls(into: Path, tls: tuple[ssl.SSLContext, Path]) -> None:
    """The deadline is for everything."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
        await writer.drain()
        await asyncio.Event().wait()

    with pytest.raises(FetchFailed, match=r"not downloaded in 0\.5 s: try again"):
        await fetched(answer, "0" * 64, into, tls, deadline_s=0.5)


async def test_a_connection_that_breaks(into: Path, tls: tuple[ssl.SSLContext, Path]) -> None:
    """Half a file is none."""

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
        await writer.drain()
        writer.close()

    with pytest.raises(FetchFailed, match="cannot be downloaded"):
        await fetched(answer, sha256(b"x"), into, tls)


@pytest.mark.parametrize(
    ("url", "checksum", "why"),
    [
        ("https://x/", None, "no SHA-256 checksum"),
        ("https://x/", "abc", "no SHA-256 checksum"),
        (None, "0" * 64, "names no address"),
        ("http://x/", "0" * 64, "is not an https address"),
        ("file:///etc/passwd", "0" * 64, "is not an https address"),
        ("https://[", "0" * 64, "is no URL"),
    ],
)
async def test_what_is_not_even_asked(
    url: str | None, checksum: str | None, why: str, into: Path
) -> None:
    """Without https and a checksum nothing is asked of anybody."""
    with pytest.raises(FetchFailed, match=why):
        await fetch(url, checksum, into, ca_cert=None, deadline_s=5)


async def test_a_server_nobody_vouches_for(
    file: bytes, into: Path, tls: tuple[ssl.SSLContext, Path]
) -> None:
    """The text names the setting that would."""
    async with serving(saying("200 OK", body=file), tls[0]) as server:
        with pytest.raises(
            FetchFailed, match=r"not trusted: self-signed certificate.*DOCKMON_CA_CERT"
        ):
            await fetch(server.url(), sha256(file), into, ca_cert=None, deadline_s=10)


async def test_a_disk_that_refuses(
    file: bytes, into: Path, tls: tuple[ssl.SSLContext, Path]
) -> None:
    """It is told as the disk's."""
    with pytest.raises(FetchFailed, match="the data directory cannot take the release"):
        await fetched(saying("200 OK", body=file), sha256(file), into / "missing" / "x", tls)


async def test_the_proxy_of_the_environment(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for what is not on this machine."""
    async with serving(saying("403 Forbidden")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url())
        with pytest.raises(FetchFailed, match="proxy does not let us through"):
            await fetch("https://10.255.255.1/x", "0" * 64, into, ca_cert=None, deadline_s=10)
    assert [(asked.method, asked.path) for asked in proxy.asked] == [
        ("CONNECT", "10.255.255.1:443")
    ]


# --- Archives


def archive(change: Callable[[zipfile.ZipInfo], None], *names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zip_:
        for name in ("release/start.py", *names):
            entry = zipfile.ZipInfo(name)
            if name != "release/start.py":
                change(entry)
            zip_.writestr(entry, b"x")
    return packed.getvalue()


def _mode(mode: int) -> Callable[[zipfile.ZipInfo], None]:
    def change(entry: zipfile.ZipInfo) -> None:
        entry.create_system, entry.external_attr = 3, mode << 16

    return change


def _nothing(_: zipfile.ZipInfo) -> None: ...


def _bzip2(entry: zipfile.ZipInfo) -> None:
    entry.compress_type = zipfile.ZIP_BZIP2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no zip", "no sound zip file"),
        (archive(_nothing, "release/../../x"), "has an entry at 'release/../../x'"),
        (archive(_nothing, "/etc/x"), "has an entry at '/etc/x'"),
        (archive(_nothing, "release//x"), "has an entry at"),
        (archive(_nothing, "release/a\\b"), "has an entry at"),
        (archive(_nothing, "release/" + "x" * 600), "longer than 512 bytes"),
        (archive(_mode(stat.S_IFLNK | 0o777), "release/link"), "link in it is not a regular file"),
        (archive(_mode(stat.S_IFIFO | 0o600), "release/pipe"), "pipe in it is not a regular file"),
        (archive(_bzip2, "release/x"), "packed in a way that is not used here"),
    ],
)  # fmt: skip
async def test_archives_that_are_no_release(
    content: bytes, why: str, into: Path, tls: tuple[ssl.SSLContext, Path]
) -> None:
    """One bad entry, wherever it is, spoils the whole."""
    with pytest.raises(FetchFailed, match=r"is no release.*release pyz") as failed:
        await fetched(saying("200 OK", body=content), sha256(content), into, tls)
    assert why in str(failed.value)
    assert names_in(into.parent) == ["staging"]


def test_an_agent_that_is_not_updated_does_not_load_httpx() -> None:
    """It takes megabytes."""
    lines = "import sys, agent.adapters.native_release; sys.exit('httpx' in sys.modules)"
    subprocess.run([sys.executable, "-c", lines], check=True)
