"""Makes releases and keys for tests: small, but true to the format to the byte."""

from __future__ import annotations

import hashlib
import importlib.machinery
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FAKE_START = Path(__file__).with_name("fake_start.py")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def raw_public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def canonical(value: object) -> bytes:
    return (
        json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    ).encode()


@dataclass(frozen=True)
class Signer:
    """Two levels of keys: the root certifies the key that signs."""

    root: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def sign(self, manifest: bytes) -> bytes:
        public = raw_public(self.key)
        certificate = self.root.sign(b"dockmon-agent signing key 1\n" + public)
        signature = self.key.sign(b"dockmon-agent manifest 1\n" + manifest)
        return canonical(
            {
                "format": 1,
                "key": public.hex(),
                "certificate": certificate.hex(),
                "signature": signature.hex(),
            }
        )


def manifest_of(files: Mapping[str, bytes], version: str, **changes: object) -> dict[str, object]:
    """The manifest of a release with these files, that fits this machine."""
    table = {
        path: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for path, content in files.items()
    }
    return {
        "format": 1,
        "version": version,
        "build_id": hashlib.sha256(canonical(table)).hexdigest(),
        "min_launcher": 1,
        "platform": f"linux/{ARCHITECTURES[platform.machine()]}",
        "python": importlib.machinery.EXTENSION_SUFFIXES[0].strip(".").removesuffix(".so"),
        "libc": "",
        "data_schema": {"reads": [1], "writes": 1},
        "security_floor": 0,
        "files": table,
        **changes,
    }


@dataclass(frozen=True)
class Release:
    """A release that does what its plan says as soon as it starts, and then what it is told."""

    version: str
    at_start: tuple[Mapping[str, object], ...] = ()
    manifest: Mapping[str, object] = field(default_factory=dict)
    """What its manifest says differently."""

    @property
    def files(self) -> dict[str, bytes]:
        plan = {"version": self.version, "at_start": list(self.at_start)}
        return {
            "start.py": FAKE_START.read_bytes(),
            "plan.json": canonical(plan),
            "site-packages/agent/__init__.py": b"",
        }

    @property
    def manifest_bytes(self) -> bytes:
        return canonical(manifest_of(self.files, self.version, **self.manifest))

    @property
    def build_id(self) -> str:
        return str(json.loads(self.manifest_bytes)["build_id"])

    def put(self, directory: Path, signer: Signer | None) -> Path:
        """Writes it there, signed by that signer."""
        for path, content in self.files.items():
            file = directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        (directory / "manifest.json").write_bytes(self.manifest_bytes)
        if signer:
            (directory / "manifest.sig").write_bytes(signer.sign(self.manifest_bytes))
        return directory
