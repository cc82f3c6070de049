"""The `Releases` port on the volume's update directory, which is shared with the launcher."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import uuid4

from agent.adapters.daemon_threads import AllBusy, DaemonThreads
from agent.adapters.durable import sync_tree
from agent.adapters.native_release import FetchFailed
from agent.adapters.release_files import write_tree
from agent.core.tar_stream import BadArchive
from agent.faults import fault
from agent.launcher import manifest as manifests
from agent.launcher import root_keys
from agent.launcher.machine import this_machine
from agent.launcher.sync import sync_directory
from agent.launcher.verify import verify
from agent.ports import Release, ReleaseRefused

NEED_BYTES = 96 << 20
"""A release has about 30 MB; twice that is for one that has grown, and for the database beside it."""

DISK_S = 60.0
BURY_S = 1.0
MAX_OUTPUT_CHARS = 400

RECREATE = "recreate needed"
"""How the launcher's own words say that another container would do."""

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "HOME", "TMPDIR")
"""To the self-check: no token, and no way to the launcher."""

T = TypeVar("T")


class Fetch(Protocol):
    """Downloads a release file and unpacks it into an empty directory. Raises `FetchFailed`."""

    async def __call__(
        self, url: str, checksum: str, into: Path, *, deadline_s: float
    ) -> object: ...


class ReleaseSlots:
    """Args:
    update_dir: The launcher's directory on the volume.
    keys_dir: Directory of the root public keys.
    launcher_api: What the installed launcher can do.
    security_floor: The highest of all releases that have registered from here, the running one included.
    schema: Of the data that the running release leaves behind.
    fetch: How a native release is downloaded; None where there is no way.
    need_bytes: Without so much free space nothing is begun.
    """

    def __init__(
        self,
        update_dir: Path,
        keys_dir: Path,
        *,
        launcher_api: int,
        security_floor: int,
        schema: int,
        environ: Mapping[str, str],
        fetch: Fetch | None = None,
        need_bytes: int = NEED_BYTES,
    ) -> None:
        self._dir, self._keys_dir, self._launcher_api = update_dir, keys_dir, launcher_api
        self._security_floor, self._schema = security_floor, schema
        self._environ = {name: environ[name] for name in _PASSED_ON if name in environ}
        self._fetch, self._need_bytes = fetch, need_bytes
        self._threads = DaemonThreads("releases", 3)
        self._here = this_machine()

    @property
    def platform(self) -> str:
        return self._here.platform

    async def obstacle(self) -> str:
        return await self._ask(self._obstacle)

    async def shortage(self) -> str:
        return await self._ask(self._shortage)

    async def begin(self) -> str:
        return await self._ask(self._begin)

    def unpack(self, staging: str, chunks: Iterator[bytes]) -> None:
        try:
            write_tree(self._staging(staging), chunks)
        except BadArchive as bad:
            raise ReleaseRefused(f"the release in the image is not taken: {bad}") from None
        except OSError as error:
            raise self._unwritable(error) from error
        fault("release.unpacked")

    async def fetch(self, staging: str, url: str, checksum: str, *, deadline_s: float) -> None:
        if self._fetch is None:
            raise ReleaseRefused(
                "this release cannot download another one; install it by hand, as docs/operate/updates.md says"
            )
        try:
            await self._fetch(url, checksum, self._staging(staging), deadline_s=deadline_s)
        except FetchFailed as failed:
            raise ReleaseRefused(str(failed)) from None
        fault("release.downloaded")

    async def verify(self, staging: str) -> Release:
        return await self._ask(lambda: self._verified(self._staging(staging), ""))

    async def install(self, staging: str, build_id: str) -> bool:
        return await self._ask(lambda: self._install(self._staging(staging), build_id))

    async def self_check(self, build_id: str, *, deadline_s: float) -> None:
        start = self._slot(build_id) / "start.py"
        words = (sys.executable, "-I", "-S", "-B", str(start), "self-check")
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=self._environ,
                start_new_session=True,
            )
        except OSError as error:
            raise ReleaseRefused(f"the new release cannot be started: {error.strerror}") from error
        try:
            async with asyncio.timeout(deadline_s):
                said = await _tail(process)
                status = await process.wait()
        except TimeoutError:
            raise ReleaseRefused(
                f"the new release did not end its self-check within {deadline_s:g} s"
            ) from None
        finally:
            # With all that it has started, or what holds its output would be waited for.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BURY_S):
                    await process.communicate()
        if status:
            raise ReleaseRefused(
                f"the new release failed its self-check (status {status}): {said or 'it said nothing'}"
            )

    async def discard(self, build_id: str = "") -> None:
        await self._ask(lambda: self._discard(build_id))

    # On a thread

    def _obstacle(self) -> str:
        try:
            found = os.statvfs(self._dir)
        except OSError as error:
            return f"{self._dir} cannot be used: {error.strerror}; mount a named volume there"
        if found.f_flag & os.ST_RDONLY or not os.access(self._dir, os.W_OK | os.X_OK):
            return (
                f"{self._dir} cannot be written by uid {os.geteuid()}: releases are kept there; "
                "mount a named volume, not read-only, that this user may write"
            )
        if found.f_flag & os.ST_NOEXEC:
            return (
                f"{self._dir} is on a file system mounted noexec, so that no release could run from there; "
                "mount a volume without that option"
            )
        if not root_keys.load(str(self._keys_dir))[0]:
            return (
                f"there are no root keys in {self._keys_dir}, so that no release could be trusted; "
                "use an image that has them"
            )
        return ""

    def _shortage(self) -> str:
        try:
            found = os.statvfs(self._dir)
        except OSError as error:
            raise self._unwritable(error) from error
        free_bytes = found.f_bavail * found.f_frsize
        if free_bytes >= self._need_bytes:
            return ""
        return (
            f"{self._dir} has {free_bytes >> 20} MiB free and another release needs {self._need_bytes >> 20} MiB; "
            "free some space on its file system"
        )

    def _begin(self) -> str:
        self._clear(self._dir / "staging")
        name = str(uuid4())
        fault("staging.begun")
        (self._dir / "staging").mkdir(mode=0o700, exist_ok=True)
        self._staging(name).mkdir(mode=0o755)
        fault("staging.made")
        return name

    def _verified(self, directory: Path, name: str) -> Release:
        keys, _ = root_keys.load(str(self._keys_dir))
        found = verify(str(directory), self._here, root_keys=keys, name=name)
        if found.why:
            raise ReleaseRefused(
                f"the release is not taken: {found.why}", needs_recreation=RECREATE in found.why
            )
        needs = manifests.parse((directory / manifests.NAME).read_bytes()).min_launcher
        if needs > self._launcher_api:
            raise ReleaseRefused(
                f"the release needs launcher {needs}, and here is {self._launcher_api}: {RECREATE}",
                needs_recreation=True,
            )
        # The launcher would refuse these two as well, but only at the switch, when the command has long been answered.
        if found.security_floor < self._security_floor:
            raise ReleaseRefused(
                f"release {found.version} is below the security floor of one that ran here before: take a newer one"
            )
        if self._schema not in found.reads:
            raise ReleaseRefused(
                f"release {found.version} cannot read the data of the running one (schema {self._schema}): "
                "take a release that can"
            )
        return Release(found.build_id, found.version)

    def _install(self, staging: Path, build_id: str) -> bool:
        slots = self._dir / "slots"
        slots.mkdir(mode=0o700, exist_ok=True)
        slot = self._slot(build_id)
        if slot.exists():
            try:
                self._verified(slot, build_id)
            except ReleaseRefused:
                # A disk that forgets: what is whole takes its place.
                fault("slot.condemned")
                slot.rename(staging.parent / f"{uuid4()}")
                fault("slot.removed_for_another")
            else:
                return True
        sync_tree(staging)
        fault("release.synced")
        staging.rename(slot)
        fault("slot.renamed")
        sync_directory(slots)
        sync_directory(staging.parent)
        fault("slot.kept")
        return False

    def _discard(self, build_id: str) -> None:
        self._clear(self._dir / "staging")
        if build_id:
            # First its name, in one step: a slot that is there is complete.
            aside = self._dir / "staging" / str(uuid4())
            with contextlib.suppress(FileNotFoundError):
                fault("slot.given_up")
                self._slot(build_id).rename(aside)
                fault("slot.set_aside")
            self._clear(self._dir / "staging")

    def _clear(self, directory: Path) -> None:
        fault("staging.condemned")
        for path in list(directory.iterdir()) if directory.is_dir() else ():
            # What does not go now goes with the next start.
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
        fault("staging.cleared")

    def _staging(self, name: str) -> Path:
        return self._dir / "staging" / name

    def _slot(self, build_id: str) -> Path:
        return self._dir / "slots" / build_id

    # Asking

    async def _ask(self, question: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(DISK_S):
                return await self._threads.ask(question)
        except AllBusy:
            raise ReleaseRefused(
                f"{self._dir} does not answer; check the disk and the kernel's log"
            ) from None
        except TimeoutError:
            raise ReleaseRefused(
                f"{self._dir} did not answer within {DISK_S:g} s; check the disk"
            ) from None
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> ReleaseRefused:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return ReleaseRefused(
                f"{self._dir} is full: another release needs {self._need_bytes >> 20} MiB; "
                "free some space on its file system"
            )
        return ReleaseRefused(f"{self._dir} cannot be written: {error.strerror or error}")


async def _tail(process: asyncio.subprocess.Process) -> str:
    """The end of what it says, in one line."""
    assert process.stdout is not None
    kept = b""
    while part := await process.stdout.read(4096):
        kept = (kept + part)[-4 * MAX_OUTPUT_CHARS :]
    return " ".join(kept.decode(errors="replace").split())[-MAX_OUTPUT_CHARS:]
