"""Whether the release in a directory is exactly what its manifest says, and fits here."""

from __future__ import annotations

import hashlib
import os
import stat

from agent.launcher import manifest as manifests
from agent.launcher.machine import Machine, misfit
from agent.launcher.manifest import Manifest, ManifestError
from agent.launcher.signature import fault_of_signature
from agent.launcher.verdict import Verdict

MAX_MANIFEST_BYTES = 8 * 2**20
MAX_SIGNATURE_BYTES = 4096
_CHUNK_BYTES = 256 * 1024


def verify(
    directory: str, here: Machine, *, root_keys: list[bytes] | None, name: str = ""
) -> Verdict:
    """Reads every byte of it.

    Args:
        root_keys: Who may have signed it; None: it is trusted as the image is, and only has to be whole.
        name: The build_id that it is found under; "" means any.
    """
    found = Verdict()
    try:
        document = _read(os.path.join(directory, manifests.NAME), MAX_MANIFEST_BYTES)
        manifest = manifests.parse(document)
        found = Verdict(
            build_id=manifest.build_id,
            version=manifest.version,
            security_floor=manifest.security_floor,
            reads=manifest.reads,
            writes=manifest.writes,
        )
        return found.but(why=_fault(directory, document, manifest, here, root_keys, name))
    except ManifestError as error:
        return found.but(why=str(error))
    except OSError as error:
        return found.but(why=f"it cannot be read: {error.strerror}: {error.filename}")


def _fault(
    directory: str,
    document: bytes,
    manifest: Manifest,
    here: Machine,
    root_keys: list[bytes] | None,
    name: str,
) -> str:
    if name and name != manifest.build_id:
        return "it is not the build that its directory is named after"
    if root_keys is not None:
        try:
            signed = _read(os.path.join(directory, manifests.SIGNATURE_NAME), MAX_SIGNATURE_BYTES)
        except FileNotFoundError:
            return "it is not signed"
        if why := fault_of_signature(document, signed, root_keys):
            return why
    if why := misfit(here, manifest.platform, manifest.python, manifest.libc):
        return why
    return _difference(directory, manifest)


def _difference(directory: str, manifest: Manifest) -> str:
    """The first thing by which the files differ from the manifest; "" if there is none."""
    missing = dict(manifest.files)
    folders = {parent for path in missing for parent in _parents(path)}
    for path in _tree(directory):
        full = os.path.join(directory, path)
        mode = os.lstat(full).st_mode
        if stat.S_ISDIR(mode):
            if path not in folders:
                return f"the directory {path} is not in its manifest"
            continue
        if not stat.S_ISREG(mode):
            return f"{path} is not a regular file"
        if path in (manifests.NAME, manifests.SIGNATURE_NAME):
            continue
        content = missing.pop(path, None)
        if content is None:
            return f"{path} is not in its manifest"
        if _hash(full, content.size_bytes) != content.sha256:
            return f"{path} is not what its manifest says"
    return f"{min(missing)} is missing" if missing else ""


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _tree(directory: str) -> list[str]:
    """Relative paths of all that is in it; links are not followed."""
    found, waiting = [], [""]
    while waiting:
        within = waiting.pop()
        with os.scandir(os.path.join(directory, within)) as entries:
            for entry in entries:
                path = os.path.join(within, entry.name)
                found.append(path)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
    return found


def _open(path: str) -> int:
    # Without O_NONBLOCK a pipe in the place of a file would be waited for.
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)


def _read(path: str, limit_bytes: int) -> bytes:
    descriptor = _open(path)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ManifestError(f"{os.path.basename(path)} is not a regular file")
        document = file.read(limit_bytes + 1)
    if len(document) > limit_bytes:
        raise ManifestError(f"{os.path.basename(path)} is larger than {limit_bytes} bytes")
    return document


def _hash(path: str, size_bytes: int) -> str:
    """The file's SHA-256; "" if it is not of that size."""
    descriptor = _open(path)
    digest = hashlib.sha256()
    try:
        if os.fstat(descriptor).st_size != size_bytes:
            return ""
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            digest.update(chunk)
    finally:
        os.close(descriptor)
    return digest.hexdigest()
