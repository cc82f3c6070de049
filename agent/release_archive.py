"""How a release travels: one zip file, packed the same way each time, unpacked with nothing taken on trust.

For the agent and for the installer, which has nothing but the standard library.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MAX_FILES = 20_000
MAX_UNPACKED_BYTES = 512 * 2**20
MAX_PATH_BYTES = 512
"""Many times what a release has. Who sends more has something else in mind than a release."""

_CHUNK_BYTES = 256 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment a zip file knows: every entry has the same, or no two archives would be alike."""

_UNSOUND = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)
"""What zipfile raises over what is in a file; RuntimeError for one that is locked or packed in an unknown way."""

_SHEBANG = b"#!/usr/bin/env python3\n"


class ArchiveError(Exception):
    """It is no archive of ours; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file to be packed: its path in the archive and its content."""

    path: str
    content: bytes


def pack(archive: Path, members: Iterable[Member]) -> None:
    """Writes a zip file that Python can run. The same members make the same bytes.

    Raises:
        OSError: It cannot be written. Nothing is left of it.
    """
    beside = archive.with_name(f".{archive.name}.partial")
    try:
        with beside.open("wb") as file:
            file.write(_SHEBANG)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
                for member in sorted(members, key=lambda member: member.path):
                    entry = zipfile.ZipInfo(member.path, _EPOCH)
                    entry.external_attr = (stat.S_IFREG | 0o644) << 16
                    entry.create_system = 3  # unix, whose modes the attributes are
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    packed.writestr(entry, member.content)
        beside.chmod(0o755)
        beside.replace(archive)
    finally:
        beside.unlink(missing_ok=True)


def members_of(directory: Path, prefix: str) -> Iterator[Member]:
    """Every file below `directory`, packed below `prefix`. Links and the like are refused.

    Raises:
        ArchiveError: There is something else than regular files.
    """
    for path in sorted(directory.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            yield Member(f"{prefix}/{path.relative_to(directory).as_posix()}", path.read_bytes())
        elif not stat.S_ISDIR(mode):
            raise ArchiveError(f"{path} is not a regular file, and only those can be packed")


def unpack(
    archive: Path,
    prefix: str,
    into: Path,
    *,
    goes_on: Callable[[], bool] = lambda: True,
) -> None:
    """Unpacks what is below `prefix` into `into`, which is missing or empty. Nothing is synced to the disk.

    Args:
        goes_on: Asked before each file; when it says no, the rest stays packed.

    Raises:
        ArchiveError: It is not an archive of ours, or there is nothing below `prefix`, or more than may be.
        OSError: It cannot be read, or `into` not written.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = _checked(packed, f"{prefix}/")
            into.mkdir(mode=0o755, exist_ok=True)
            room_bytes = MAX_UNPACKED_BYTES
            for path, entry in entries:
                if not goes_on():
                    return
                with packed.open(entry) as source:
                    room_bytes -= _write(source, into / path, min(room_bytes, entry.file_size))
    except _UNSOUND as error:
        raise ArchiveError(f"it is no sound zip file: {error}") from error


def read_member(archive: Path, path: str, limit_bytes: int) -> bytes | None:
    """The content of one entry; None if there is no such entry.

    Raises:
        ArchiveError: It cannot be read, or is larger than that.
    """
    try:
        with zipfile.ZipFile(archive) as packed, packed.open(path) as source:
            content = source.read(limit_bytes + 1)
    except KeyError:
        return None
    except _UNSOUND as error:
        raise ArchiveError(f"it is no sound zip file: {error}") from error
    if len(content) > limit_bytes:
        raise ArchiveError(f"{path} in it is larger than {limit_bytes} bytes")
    return content


def _checked(packed: zipfile.ZipFile, prefix: str) -> list[tuple[str, zipfile.ZipInfo]]:
    """The files below `prefix` by their paths there. One bad entry anywhere spoils the whole archive."""
    entries = packed.infolist()
    if len(entries) > MAX_FILES:
        raise ArchiveError(f"it has more than {MAX_FILES} entries")
    if len({entry.filename for entry in entries}) < len(entries):
        raise ArchiveError("it has two entries of one name")
    for entry in entries:
        _check(entry)
    wanted = [
        (entry.filename.removeprefix(prefix), entry)
        for entry in entries
        if entry.filename.startswith(prefix) and not entry.is_dir()
    ]
    if not wanted:
        raise ArchiveError(f"it has nothing in {prefix}")
    if sum(entry.file_size for _, entry in wanted) > MAX_UNPACKED_BYTES:
        raise ArchiveError(f"it would unpack to more than {MAX_UNPACKED_BYTES} bytes")
    return wanted


def _check(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = name.removesuffix("/").split("/")
    if {"", ".", ".."} & {*parts} or "\\" in name or not name.isprintable():
        raise ArchiveError(f"it has an entry at {name!r}")
    if len(name.encode("utf-8", "replace")) > MAX_PATH_BYTES:
        raise ArchiveError(f"it has an entry whose name is longer than {MAX_PATH_BYTES} bytes")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG):
        raise ArchiveError(f"{name} in it is not a regular file")
    if entry.flag_bits & 0x1:
        raise ArchiveError(f"{name} in it is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveError(f"{name} in it is packed in a way that is not used here")


def _write(source: IO[bytes], path: Path, limit_bytes: int) -> int:
    """Returns how many bytes it were."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    written_bytes = 0
    with os.fdopen(os.open(path, flags, 0o644), "wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            written_bytes += len(chunk)
            if written_bytes > limit_bytes:
                raise ArchiveError(f"{path.name} in it is larger than it says")
            file.write(chunk)
    return written_bytes
