"""Keys: made, certified, used. The one place that needs `cryptography`, and only when something is signed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent.core import release_manifest
from agent.release import ReleaseError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_NO_CRYPTOGRAPHY = (
    "keys and signatures need the Python package cryptography: pip install 'dockmon-agent[release]'"
)


class Signer:
    """Who holds a private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def load(cls, path: Path) -> Signer:
        """Reads a private key in PEM form.

        Raises:
            ReleaseError: There is none, or others may read it.
        """
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        except ImportError as error:
            raise ReleaseError(_NO_CRYPTOGRAPHY) from error
        document = read(path)
        if path.stat().st_mode & 0o077:
            raise ReleaseError(f"others may read the private key {path}: chmod 600 {path}")
        try:
            key = load_pem_private_key(document, password=None)
        except (ValueError, TypeError) as error:
            raise ReleaseError(
                f"{path} holds no private key in PEM form, or a locked one"
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ReleaseError(f"{path} holds no Ed25519 key: make one with `release keygen`")
        return cls(key)

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def certify(self, public: bytes) -> bytes:
        """As a root key: the certificate for a signing key, as a document."""
        certificate = self._key.sign(release_manifest.CERTIFICATE_FOR + public)
        return release_manifest.certificate_document(public, certificate)

    def sign(self, manifest: bytes, certificate: bytes) -> bytes:
        """As a certified key: manifest.sig for these exact bytes of a manifest.json.

        Args:
            certificate: The document that `certify` made for this key.
        """
        try:
            key, proof = release_manifest.read_certificate(certificate)
        except ValueError as error:
            raise ReleaseError(f"the certificate cannot be used: {error}") from error
        if key != self.public:
            raise ReleaseError(
                "the certificate is for another signing key: have this one certified by a root key"
            )
        signature = self._key.sign(release_manifest.SIGNATURE_FOR + manifest)
        return release_manifest.signature_document(key, proof, signature)


def generate(path: Path) -> Path:
    """Makes a key: the private one at `path`, for its owner only, the public one beside it.

    Returns:
        The path of the public key.

    Raises:
        ReleaseError: There is something at either path already.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )
    except ImportError as error:
        raise ReleaseError(_NO_CRYPTOGRAPHY) from error
    public_path = path.with_name(f"{path.name}.pub")
    key = Ed25519PrivateKey.generate()
    document = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_new(path, document, 0o600)
    write_new(public_path, f"{Signer(key).public.hex()}\n".encode(), 0o644)
    return public_path


def read_public(path: Path) -> bytes:
    """The 32 bytes of a public key, which its file has in hex."""
    try:
        key = bytes.fromhex(read(path).decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != release_manifest.KEY_BYTES:
        raise ReleaseError(f"{path} holds no public key: 64 hex characters were expected")
    return key


def read(path: Path) -> bytes:
    """Raises `ReleaseError` if the file cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReleaseError(f"{path} cannot be read: {error.strerror}") from error


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Writes a file that is not there yet: a key that is overwritten is lost."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError as error:
        raise ReleaseError(f"{path} is there already: name another file") from error
    except OSError as error:
        raise ReleaseError(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
