"""What a release says of itself: manifest.json, read strictly."""

from __future__ import annotations

import hashlib

from agent.launcher import LAUNCHER_API
from agent.launcher.record import Record
from agent.launcher.small_json import canonical, read

NAME = "manifest.json"
SIGNATURE_NAME = "manifest.sig"
FORMAT = 1
MAX_FILES = 20_000


class Content(Record):
    """A file of a release: its hash in hex and its size."""

    sha256: str
    size_bytes: int


class Manifest(Record):
    """manifest.json. `files` has all files of the release but the manifest and its signature, by relative path."""

    version: str
    build_id: str
    min_launcher: int
    platform: str
    python: str
    libc: str
    reads: tuple[int, ...]
    writes: int
    security_floor: int
    files: dict[str, Content]


class ManifestError(Exception):
    """The manifest cannot be used; the text says why."""


def build_id_of(files: object) -> str:
    """The name of a build: a hash over the hashes of all its files, as manifest.json has them."""
    return hashlib.sha256(canonical(files)).hexdigest()


def parse(document: bytes) -> Manifest:
    """The manifest in the exact bytes of a manifest.json.

    Raises:
        ManifestError: It is not as it has to be, or it needs a newer launcher.
    """
    try:
        found = read(document)
        is_canonical = canonical(found) == document
    except ValueError as error:
        raise ManifestError(f"its manifest cannot be read: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ManifestError(
            "its manifest has a format that this launcher does not know: recreate needed"
        )
    if not is_canonical:
        raise ManifestError("its manifest is not in canonical form")
    fields = _Fields(found, "")
    min_launcher = fields.number("min_launcher")
    if min_launcher > LAUNCHER_API:
        raise ManifestError(
            f"it needs launcher {min_launcher}, and this is {LAUNCHER_API}: recreate needed"
        )
    schema = _Fields(fields.table("data_schema"), "data_schema.")
    files = fields.table("files")
    manifest = Manifest(
        version=fields.text("version"),
        build_id=fields.text("build_id"),
        min_launcher=min_launcher,
        platform=fields.text("platform"),
        python=fields.text("python"),
        libc=fields.text("libc"),
        reads=schema.numbers("reads"),
        writes=schema.number("writes"),
        security_floor=fields.number("security_floor"),
        files=_files(files),
    )
    if manifest.build_id != build_id_of(files):
        raise ManifestError("its build_id is not the hash of its files")
    return manifest


def _files(table: dict[str, object]) -> dict[str, Content]:
    if "start.py" not in table:
        raise ManifestError("its manifest has no start.py")
    if len(table) > MAX_FILES:
        raise ManifestError(f"its manifest has more than {MAX_FILES} files")
    files = {}
    for path, entry in table.items():
        if not _is_plain(path):
            raise ManifestError(f"its manifest has a file at {path!r}")
        if not isinstance(entry, dict):
            raise ManifestError(f"its manifest says nothing of {path}")
        fields = _Fields(entry, f"{path}: ")
        files[path] = Content(fields.text("sha256"), fields.number("size"))
    return files


def _is_plain(path: str) -> bool:
    parts = path.split("/")
    return (
        path not in (NAME, SIGNATURE_NAME) and "\0" not in path and not {"", ".", ".."} & {*parts}
    )


class _Fields:
    """The values of a table, each of the type it has to have."""

    def __init__(self, table: object, where: str) -> None:
        self._table = table if isinstance(table, dict) else {}
        self._where = where

    def text(self, name: str) -> str:
        value = self._table.get(name)
        if not isinstance(value, str) or len(value) > 200:
            raise self._wrong(name)
        return value

    def number(self, name: str) -> int:
        value = self._table.get(name)
        if type(value) is not int or value < 0:
            raise self._wrong(name)
        return value

    def numbers(self, name: str) -> tuple[int, ...]:
        value = self._table.get(name)
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise self._wrong(name)
        return tuple(value)

    def table(self, name: str) -> dict[str, object]:
        value = self._table.get(name)
        if not isinstance(value, dict):
            raise self._wrong(name)
        return value

    def _wrong(self, name: str) -> ManifestError:
        return ManifestError(f"its manifest has no valid {self._where}{name}")
