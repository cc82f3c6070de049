"""A tar archive as it comes: entry after entry, with nothing in it that is unbounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

BLOCK_BYTES = 512
MAX_NAME_BYTES = 4096
MAX_HEADERS_BYTES = 64 * 1024
"""Of an extended header. It carries a path and a few times; more than this is an attack on our memory."""

_FILE, _DIRECTORY = (b"0", b"\0"), b"5"
_LONG_NAME, _PAX, _PAX_GLOBAL = b"L", b"x", b"g"
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
}


class BadArchive(Exception):
    """It is no archive that we take. The text says what is in it that should not be."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold at most."""

    entries: int
    file_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file or a directory. `path` is relative, without empty parts, `.` and `..`; ("",) never.

    `content` has to be read to its end before the next entry is asked for.
    """

    path: tuple[str, ...]
    is_directory: bool
    size_bytes: int
    content: Iterator[bytes]


def entries(chunks: Iterable[bytes], limits: Limits) -> Iterator[Entry]:
    """What is in the archive, in its order: regular files and directories.

    Raises:
        BadArchive: There is something else in it, or it is cut short, damaged or over a limit.
    """
    source = _Source(chunks)
    found, total_bytes, extended = 0, 0, _Extended()
    while (header := source.take(BLOCK_BYTES, may_end=True)) and any(header):
        _check(header)
        kind, size = header[156:157], _number(header[124:136])
        if kind in (_LONG_NAME, _PAX, _PAX_GLOBAL):
            extended = _extend(extended, kind, source, size)
            continue
        size = extended.size_bytes if extended.size_bytes is not None else size
        path = _path(extended.path if extended.path is not None else _name(header))
        extended = _Extended()
        found, total_bytes = found + 1, total_bytes + size
        if kind != _DIRECTORY and kind not in _FILE:
            raise BadArchive(f"{'/'.join(path)} is {_KINDS.get(kind, 'of an unknown kind')}")
        if found > limits.entries:
            raise BadArchive(f"it has more than {limits.entries} files")
        if size > limits.file_bytes or total_bytes > limits.total_bytes:
            raise BadArchive(f"it is larger than {limits.total_bytes >> 20} MiB")
        if kind == _DIRECTORY:
            source.skip(size)
            yield Entry(path, True, 0, iter(()))
        else:
            content = source.part(size)
            yield Entry(path, False, size, content)
            for _ in content:
                pass  # what the reader left
            source.skip(-size % BLOCK_BYTES)


@dataclass(frozen=True, slots=True)
class _Extended:
    """What an extended header says of the entry after it."""

    path: str | None = None
    size_bytes: int | None = None


class _Source:
    """Bytes from chunks of any size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._rest = iter(chunks), memoryview(b"")

    def take(self, count: int, *, may_end: bool = False) -> bytes:
        """Exactly `count` bytes; b"" at the end of the archive, where it may end."""
        taken = b"".join(self.part(count, may_end=may_end))
        if taken and len(taken) < count:
            raise BadArchive("it is cut short")
        return taken

    def part(self, count: int, *, may_end: bool = False) -> Iterator[bytes]:
        left = count
        while left:
            while not self._rest:
                chunk = next(self._chunks, None)
                if chunk is None:
                    if may_end:
                        return
                    raise BadArchive("it is cut short")
                self._rest = memoryview(chunk)
            piece, self._rest = self._rest[:left], self._rest[left:]
            left -= len(piece)
            yield bytes(piece)

    def skip(self, count: int) -> None:
        for _ in self.part(count):
            pass


def _extend(extended: _Extended, kind: bytes, source: _Source, size: int) -> _Extended:
    if size > MAX_HEADERS_BYTES:
        raise BadArchive(f"it has a header of {size} bytes")
    body = source.take(size) if size else b""
    source.skip(-size % BLOCK_BYTES)
    if kind == _LONG_NAME:
        return _Extended(_text(body.rstrip(b"\0")), extended.size_bytes)
    records = _records(body)
    if kind == _PAX_GLOBAL:
        if {"path", "size"} & records.keys():
            raise BadArchive("it names its files in a way that no engine does")
        return extended
    if any(key.startswith("GNU.sparse") for key in records):
        raise BadArchive("it has a sparse file")
    given = records.get("size")
    return _Extended(
        _text(records["path"]) if "path" in records else extended.path,
        _decimal(given) if given is not None else extended.size_bytes,
    )


def _records(body: bytes) -> dict[str, bytes]:
    """PAX: each record is its own length in decimal, a blank, KEY=VALUE and a line end."""
    found: dict[str, bytes] = {}
    while body:
        digits, blank, _ = body.partition(b" ")
        length = _decimal(digits)
        record = body[len(digits) + 1 : length]
        key, equals, value = record.partition(b"=")
        if not blank or not equals or not value.endswith(b"\n") or length > len(body):
            raise BadArchive("it has a damaged header")
        found[_text(key)] = value[:-1]
        body = body[length:]
    return found


def _check(header: bytes) -> None:
    # The checksum's own field counts as blanks.
    if sum(header) - sum(header[148:156]) + 8 * ord(" ") != _number(header[148:156]):
        raise BadArchive("it has a damaged header")


def _number(field: bytes) -> int:
    if field[:1] == b"\x80":  # GNU's form for what octal digits cannot hold
        return int.from_bytes(field[1:])
    return _parsed(field.strip(b" \0"), lambda digits: int(digits, 8) if digits else 0)


def _decimal(digits: bytes) -> int:
    return _parsed(digits, int)


def _parsed(digits: bytes, read: Callable[[bytes], int]) -> int:
    if (digits and not digits.isdigit()) or len(digits) > 20:
        raise BadArchive("it has a damaged header")
    try:
        return read(digits)
    except ValueError:
        raise BadArchive("it has a damaged header") from None


def _name(header: bytes) -> str:
    name, prefix = (header[a:b].split(b"\0")[0] for a, b in ((0, 100), (345, 500)))
    is_ustar = header[257:263] == b"ustar\0"
    return _text(prefix + b"/" + name if prefix and is_ustar else name)


def _text(name: bytes) -> str:
    if len(name) > MAX_NAME_BYTES:
        raise BadArchive("it has a name without an end")
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise BadArchive("it has a name that is not UTF-8") from None


def _path(name: str) -> tuple[str, ...]:
    parts = tuple(part for part in name.removesuffix("/").split("/") if part != ".")
    if not parts or {"", ".."} & set(parts) or "\0" in name:
        raise BadArchive(f"it has a file at {name[:200]!r}")
    return parts
