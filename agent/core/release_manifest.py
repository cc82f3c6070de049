"""manifest.json and manifest.sig as they are written: what a release says of itself, and who vouches for it.

The launcher reads them with code of its own, which never changes; docs/reference/launcher.md has the formats.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"

CERTIFICATE_FOR = b"dockmon-agent signing key 1\n"
SIGNATURE_FOR = b"dockmon-agent manifest 1\n"
"""What is signed begins with what it is for, so that no signature can pass for another kind."""

MIN_LAUNCHER = 1
"""The oldest launcher that can run what is built from this tree; a higher one makes hosts recreate their container."""

READS_SCHEMAS = (1,)
WRITES_SCHEMA = 1
"""Of the data directory: what this tree can read, and what it leaves behind."""

SECURITY_FLOOR = 0
"""Where a release has run, none with a lower number runs any more. Raised with a fix that must not be undone."""

KEY_BYTES = 32
SIGNATURE_BYTES = 64

_GLIBC = re.compile(rb"GLIBC_(\d{1,3})\.(\d{1,3})")


@dataclass(frozen=True, slots=True)
class File:
    """One file of a release: a relative path with slashes, SHA-256 in hex, size."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Target:
    """What a release is made for.

    Attributes:
        platform: As in image indexes: `linux/amd64`.
        python: The interpreter's SOABI.
        libc: The oldest C library it runs on: `glibc-2.17`, `musl`; "" for any.
    """

    platform: str
    python: str
    libc: str


def canonical(value: object) -> bytes:
    """JSON in the one form that is hashed and signed: names sorted, no spaces, UTF-8, a line end after it."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{text}\n".encode()


def file_table(files: Iterable[File]) -> dict[str, dict[str, object]]:
    """`files` of the manifest: without the manifest itself, and the signature over it."""
    return {
        file.path: {"sha256": file.sha256, "size": file.size_bytes}
        for file in files
        if file.path not in (MANIFEST, SIGNATURE)
    }


def build_id(table: Mapping[str, Mapping[str, object]]) -> str:
    """The name of a build: a hash over the hashes of all its files."""
    return hashlib.sha256(canonical(table)).hexdigest()


def manifest(version: str, target: Target, files: Iterable[File]) -> bytes:
    """The whole of manifest.json, for a release of this tree's format."""
    table = file_table(files)
    return canonical(
        {
            "format": 1,
            "version": version,
            "build_id": build_id(table),
            "min_launcher": MIN_LAUNCHER,
            "platform": target.platform,
            "python": target.python,
            "libc": target.libc,
            "data_schema": {"reads": list(READS_SCHEMAS), "writes": WRITES_SCHEMA},
            "security_floor": SECURITY_FLOOR,
            "files": table,
        }
    )


def certificate_document(key: bytes, certificate: bytes) -> bytes:
    """SIGNING.cert: a public signing key, and a root key's signature over CERTIFICATE_FOR and it."""
    return canonical({"format": 1, "key": key.hex(), "certificate": certificate.hex()})


def read_certificate(document: bytes) -> tuple[bytes, bytes]:
    """The (key, certificate) in a SIGNING.cert.

    Raises:
        ValueError: It is none.
    """
    found = json.loads(document)
    if not isinstance(found, dict) or found.get("format") != 1:
        raise ValueError("not a certificate of format 1")
    key, certificate = (bytes.fromhex(str(found.get(name))) for name in ("key", "certificate"))
    if len(key) != KEY_BYTES or len(certificate) != SIGNATURE_BYTES:
        raise ValueError("key or certificate is not as long as it has to be")
    return key, certificate


def signature_document(key: bytes, certificate: bytes, signature: bytes) -> bytes:
    """manifest.sig: the certified key's signature over SIGNATURE_FOR and the exact bytes of manifest.json."""
    return canonical(
        {
            "format": 1,
            "key": key.hex(),
            "certificate": certificate.hex(),
            "signature": signature.hex(),
        }
    )


def glibc_floor(libraries: Iterable[bytes]) -> str:
    """The oldest glibc that has all that these native libraries ask for; "" if they ask for none.

    Args:
        libraries: Their contents: each names the version of glibc that a symbol of it came with.
    """
    found = {
        (int(major), int(minor))
        for content in libraries
        for major, minor in _GLIBC.findall(content)
    }
    return "glibc-{}.{}".format(*max(found)) if found else ""
