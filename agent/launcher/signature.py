"""Whether a manifest is signed by a key that one of our root keys has certified."""

from __future__ import annotations

from agent.launcher import ed25519
from agent.launcher.small_json import read

CERTIFICATE_FOR = b"dockmon-agent signing key 1\n"
SIGNATURE_FOR = b"dockmon-agent manifest 1\n"
"""What is signed begins with what it is for, so that no signature can pass for another kind."""


def fault_of_signature(manifest: bytes, document: bytes, root_keys: list[bytes]) -> str:
    """Why `document` (a manifest.sig) does not vouch for these bytes of a manifest.json; "" if it does."""
    try:
        found = read(document)
    except ValueError as error:
        return f"its manifest.sig cannot be read: {error}"
    if not isinstance(found, dict) or found.get("format") != 1:
        return "its manifest.sig has a format that this launcher does not know"
    key = _bytes_of(found.get("key"), ed25519.KEY_BYTES)
    certificate = _bytes_of(found.get("certificate"), ed25519.SIGNATURE_BYTES)
    signature = _bytes_of(found.get("signature"), ed25519.SIGNATURE_BYTES)
    if key is None or certificate is None or signature is None:
        return "its manifest.sig is incomplete"
    if not any(ed25519.verifies(root, certificate, CERTIFICATE_FOR + key) for root in root_keys):
        return "it is signed by a key that none of the root keys here has certified"
    if not ed25519.verifies(key, signature, SIGNATURE_FOR + manifest):
        return "its signature is wrong: the manifest is not what was signed"
    return ""


def _bytes_of(value: object, count: int) -> bytes | None:
    try:
        found = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        return None
    return found if len(found) == count else None
