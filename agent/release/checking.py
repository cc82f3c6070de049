"""Whether a release would be accepted by a host that trusts certain root keys: the launcher's own verdict."""

from __future__ import annotations

from pathlib import Path

from agent.core import release_manifest
from agent.launcher import manifest as manifests
from agent.launcher import root_keys
from agent.launcher.machine import Machine
from agent.launcher.manifest import Manifest, ManifestError
from agent.launcher.verify import verify
from agent.release import ReleaseError
from agent.release.keys import read


def demand_valid(directory: Path, keys: Path | None) -> Manifest:
    """Checks every byte of a release, whatever platform it is for.

    Args:
        keys: Directory of the root public keys; None: it need not be signed.

    Raises:
        ReleaseError: A host would refuse it; the text says why.
    """
    document = read(directory / release_manifest.MANIFEST)
    try:
        manifest = manifests.parse(document)
    except ManifestError as error:
        raise ReleaseError(f"{directory} would be refused: {error}") from error
    verdict = verify(
        str(directory),
        Machine(manifest.platform, manifest.python, manifest.libc),
        root_keys=None if keys is None else trusted(keys),
    )
    if verdict.why:
        raise ReleaseError(f"{directory} would be refused: {verdict.why}")
    return manifest


def trusted(keys: Path) -> list[bytes]:
    """The root public keys in a directory; there has to be one."""
    found, notes = root_keys.load(str(keys))
    if notes:
        raise ReleaseError(notes[0])
    if not found:
        raise ReleaseError(f"{keys} has no root public keys: they are files *.pub")
    return found
