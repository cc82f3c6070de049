"""Releases made from the one in an image: of another version, or broken in some way; sealed by keys of the test's own.

Manifests and signatures are made by the contract and not by the code under test.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
CERTIFICATE_FOR = b"dockmon-agent signing key 1\n"
SIGNATURE_FOR = b"dockmon-agent manifest 1\n"

Change = Callable[["Sources"], None]


class Signer:
    """A root key, and a signing key which that one has certified."""

    def __init__(self) -> None:
        self._root, self._key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()

    @property
    def root_key(self) -> str:
        """As it lies in ROOT/keys."""
        return f"{_public(self._root).hex()}\n"

    def sign(self, manifest: bytes) -> bytes:
        """The manifest.sig of these bytes."""
        key = _public(self._key)
        return canonical(
            {
                "format": 1,
                "key": key.hex(),
                "certificate": self._root.sign(CERTIFICATE_FOR + key).hex(),
                "signature": self._key.sign(SIGNATURE_FOR + manifest).hex(),
            }
        )


class Sources:
    """Python files in a directory, to be changed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, path: str, text: str) -> None:
        """Puts a source in the place of another, whose compiled form goes with it."""
        target = self.directory / path
        target.write_text(text)
        for compiled in (target.parent / "__pycache__").glob(f"{target.stem}.*.pyc"):
            compiled.unlink()

    def prepend(self, path: str, text: str) -> None:
        """Puts `text` before all else that a source does; there must be no `from __future__` in it."""
        self.write(path, text + (self.directory / path).read_text())

    def replace(self, path: str, old: str, new: str) -> None:
        """Puts `new` in the place of every `old`, of which there has to be one."""
        source = (self.directory / path).read_text()
        assert old in source, f"{path} has no {old!r}"
        self.write(path, source.replace(old, new))


class Release(Sources):
    """A release, to be changed and sealed."""

    @property
    def manifest(self) -> dict[str, Any]:
        found = json.loads((self.directory / MANIFEST).read_bytes())
        assert isinstance(found, dict)
        return found

    @property
    def build_id(self) -> str:
        return str(self.manifest["build_id"])

    def copy(self, directory: Path) -> Self:
        shutil.copytree(self.directory, directory)
        return type(self)(directory)

    def set_version(self, version: str) -> None:
        path = "site-packages/agent/__init__.py"
        source = (self.directory / path).read_text().splitlines()
        kept = [line for line in source if not line.startswith("__version__")]
        self.write(path, "\n".join([*kept, f'__version__ = "{version}"', ""]))

    def seal(self, signer: Signer | None, **changes: Any) -> None:
        """Makes manifest and signature anew.

        Args:
            signer: None: no signature.
            changes: Fields of the manifest that are to be other than they were.
        """
        manifest = self.manifest
        files = {
            file.relative_to(self.directory).as_posix(): {
                "sha256": hashlib.sha256(content := file.read_bytes()).hexdigest(),
                "size": len(content),
            }
            for file in sorted(self.directory.rglob("*"))
            if file.is_file() and file.name not in (MANIFEST, SIGNATURE)
        }
        build_id = hashlib.sha256(canonical(files)).hexdigest()
        document = canonical(manifest | {"files": files, "build_id": build_id} | changes)
        (self.directory / MANIFEST).write_bytes(document)
        (self.directory / SIGNATURE).unlink(missing_ok=True)
        if signer is not None:
            (self.directory / SIGNATURE).write_bytes(signer.sign(document))


def canonical(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{text}\n".encode()


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
