"""A release for an agent that is no container: the one file, downloaded, checked and unpacked.

Whether it is signed by who may is not asked here: whoever stages it verifies every byte of what was unpacked, and the
launcher does so again. What is checked here is what could be done to us with a file that nobody has signed.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

from agent import __version__
from agent.adapters.daemon_threads import AllBusy, DaemonThreads
from agent.core.redirects import NowhereToGo, redirected
from agent.ports import DialFailed
from agent.release_archive import ArchiveError, unpack

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
Progress = Callable[[int, int | None], None]
"""Told how many bytes have come, and of how many (None where the server does not say)."""

MAX_DOWNLOAD_BYTES = 256 * 2**20
"""Twenty times what a release has."""

MAX_REDIRECTS = 5

RELEASE = "release"

_PART_BYTES = 1024 * 1024
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)


class FetchFailed(Exception):
    """There is no release to go on with; the text says why, and what to do."""


async def fetch(
    url: str | None,
    checksum: str | None,
    into: Path,
    *,
    ca_cert: Path | None,
    deadline_s: float,
    progress: Progress = lambda _, __: None,
) -> Path:
    """Downloads a release and unpacks it. What it leaves in `into` if it fails, the caller removes.

    The file itself is kept beside `into` meanwhile, and is gone afterwards.

    Args:
        url: Where the file is; https only.
        checksum: SHA-256 of the file, in hex.
        into: Where the release is to be: a directory that is missing or empty, in one that is the caller's alone.
        ca_cert: Certificate authorities to trust besides the system's (PEM).
        deadline_s: For everything.

    Returns:
        `into`. Nothing of it is synced to the disk.

    Raises:
        FetchFailed: It cannot be had, or is not what it should be.
    """
    wanted = _demanded(checksum)
    address = _https(url or "", "the server names no address of the file (binary_url)")
    threads = DaemonThreads("native-release", 4)
    gave_up = threading.Event()
    archive = into.with_name(f"{into.name}.pyz")
    try:
        async with asyncio.timeout(deadline_s):
            found = await _download(address, archive, threads, ca_cert, progress)
            if found != wanted:
                raise FetchFailed(
                    f"the file at {_shown(address)} has SHA-256 {found}, and the server said {wanted}: it was damaged "
                    "on the way or is another one; try again, and then compare with what is published"
                )
            await _on_disk(
                threads,
                lambda: unpack(archive, RELEASE, into, goes_on=lambda: not gave_up.is_set()),
            )
    except TimeoutError as error:
        raise FetchFailed(
            f"{_shown(address)} was not downloaded in {deadline_s:g} s: try again when the connection is better"
        ) from error
    except ArchiveError as error:
        raise FetchFailed(
            f"the file at {_shown(address)} is no release: {error}; publish what `dockmon-agent release pyz` made"
        ) from error
    finally:
        gave_up.set()
        _remove(archive)
    return into


def _remove(file: Path) -> None:
    """What cannot be removed now is rubbish after the next start, like everything that is staged."""
    with suppress(OSError):
        file.unlink(missing_ok=True)


def _demanded(checksum: str | None) -> str:
    found = _SHA256.fullmatch((checksum or "").strip())
    if found is None:
        raise FetchFailed(
            "the server sent no SHA-256 checksum for the file (64 hex digits), and without one nothing is "
            "installed: publish it beside the file, or install by hand with `python3 FILE.pyz install`"
        )
    return found[1].lower()


def _https(url: str, why_not: str) -> str:
    """`url`, if it may be asked.

    Raises:
        FetchFailed: It is none, or not https, or holds credentials.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is none
    except ValueError:
        raise FetchFailed(
            "the address of the file is no URL: publish it under an https one"
        ) from None
    if not url:
        raise FetchFailed(f"{why_not}: publish the file under an https address")
    if parts.scheme != "https" or not parts.hostname:
        raise FetchFailed(
            f"{_shown(url)} is not an https address, and anybody on the way could give us another file: publish it "
            "under https"
        )
    return url


async def _download(
    url: str, target: Path, threads: DaemonThreads, ca_cert: Path | None, progress: Progress
) -> str:
    """Writes what is at `url`, wherever it is by now, and returns its SHA-256."""
    for _ in range(MAX_REDIRECTS + 1):
        async with _answer(url, ca_cert) as response:
            try:
                onward = redirected(
                    "GET", url, response.status_code, response.headers.get("Location", "")
                )
            except NowhereToGo:
                raise FetchFailed(
                    f"{_shown(url)} redirects to what is no address: publish the file elsewhere"
                ) from None
            if onward is None:
                return await _kept(response, url, target, threads, progress)
        url = _https(onward[1], f"{_shown(url)} redirects to nowhere")
    raise FetchFailed(
        f"{_shown(url)} is one of more than {MAX_REDIRECTS} redirects: publish the file itself"
    )


@asynccontextmanager
async def _answer(url: str, ca_cert: Path | None) -> AsyncGenerator[httpx.Response]:
    import httpx  # late: it takes megabytes, and few agents are ever updated this way

    from agent.adapters.http_errors import explain
    from agent.adapters.http_proxy import proxy_for
    from agent.adapters.websocket import tls_context

    parts = httpx.URL(url)
    try:
        # A bare transport: no cookies, no credentials of the user we run as.
        async with httpx.AsyncHTTPTransport(
            verify=tls_context(ca_cert, skip_verify=False), proxy=proxy_for("https", parts.host)
        ) as transport:
            response = await transport.handle_async_request(
                httpx.Request("GET", parts, headers={"User-Agent": f"dockmon-agent/{__version__}"})
            )
            try:
                yield response
            finally:
                await response.aclose()
    except (FetchFailed, ArchiveError, TimeoutError):
        raise
    except DialFailed as error:
        raise FetchFailed(str(error)) from error
    # Whatever a library raises over what a server sent: there is no file.
    except Exception as error:
        trouble, detail = explain(error)
        why = detail or trouble.name.replace("_", " ").lower()
        raise FetchFailed(
            f"{_shown(url)} cannot be downloaded: {why}; the host must reach it, through the proxy of its environment "
            "if there is one, and DOCKMON_CA_CERT names a CA that is not the system's"
        ) from error


async def _kept(
    response: httpx.Response, url: str, target: Path, threads: DaemonThreads, progress: Progress
) -> str:
    if response.status_code != 200:
        raise FetchFailed(
            f"{_shown(url)} was answered with HTTP {response.status_code}: see whether the release is published there"
        )
    said = response.headers.get("Content-Length", "")
    whole_bytes = int(said) if said.isascii() and said.isdecimal() and len(said) < 16 else None
    _demand_room(whole_bytes or 0, url)
    digest, pending, got_bytes = hashlib.sha256(), bytearray(), 0
    file = await _on_disk(threads, lambda: target.open("xb"))
    try:
        # Raw: what counts is the file as it was published, and nothing that unpacks to more than came.
        body = cast(AsyncGenerator[bytes, None], response.aiter_raw())
        async with aclosing(body) as parts:
            async for part in parts:
                got_bytes += len(part)
                _demand_room(got_bytes, url)
                digest.update(part)
                pending += part
                if len(pending) >= _PART_BYTES:
                    await _write(threads, file, bytes(pending))
                    pending.clear()
                progress(got_bytes, whole_bytes)
        await _write(threads, file, bytes(pending))
    finally:
        file.close()
    return digest.hexdigest()


def _demand_room(size_bytes: int, url: str) -> None:
    if size_bytes > MAX_DOWNLOAD_BYTES:
        raise FetchFailed(
            f"the file at {_shown(url)} is larger than {MAX_DOWNLOAD_BYTES} bytes: no release is that large"
        )


async def _write(threads: DaemonThreads, file: BinaryIO, content: bytes) -> None:
    def write() -> None:
        file.write(content)
        file.flush()

    await _on_disk(threads, write)


async def _on_disk(threads: DaemonThreads, work: Callable[[], T]) -> T:
    try:
        return await threads.ask(work)
    except AllBusy as error:
        raise AssertionError("one piece of work at a time: others can only be ending") from error
    except OSError as error:
        raise FetchFailed(
            f"the data directory cannot take the release: {error.strerror}; make room, or mend that"
        ) from error


def _shown(url: str) -> str:
    """Without what may be a secret: credentials, and the query of a signed address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
