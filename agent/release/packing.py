"""From a release to what a host gets: an installation as the image has it, or the one file for native hosts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from agent.launcher.manifest import Manifest
from agent.release import ReleaseError
from agent.release.checking import demand_valid
from agent.release.tree import SITE
from agent.release_archive import ArchiveError, Member, members_of, pack
from agent.release_layout import (
    KEYS,
    LAUNCHER,
    RELEASE,
    compile_launcher,
    key_members,
    launcher_members,
    write,
)

_FOR_THE_INSTALLER = ("__init__.py", "faults.py", "release_archive.py", "release_layout.py")
_ITS_PACKAGES = ("installer", "launcher")


def lay_out(root: Path, release: Path, keys: Path | None) -> Manifest:
    """Makes the directory `root` an installation.

    Args:
        keys: Directory of root public keys; without any, the agent is not updated in place.

    Raises:
        ReleaseError: The release is not whole, or `root` holds something.
    """
    manifest = demand_valid(release, None)
    if root.exists() and any(root.iterdir()):
        raise ReleaseError(f"{root} is not empty: name another directory")
    write(root / LAUNCHER, launcher_members(release / SITE / "agent"))
    compile_launcher(root / LAUNCHER)
    shutil.copytree(release, root / RELEASE)
    write(root / KEYS, key_members(keys))
    return manifest


def native_file(release: Path, keys: Path, output: Path | None) -> Path:
    """Makes the one file that installs a signed release on a host without Docker images.

    Args:
        keys: Directory of the root public keys that are to be trusted there from then on.
        output: Where to; None: here, under the name that says what it is for.

    Raises:
        ReleaseError: The release is not whole, or not signed in a way that these keys vouch for.
    """
    manifest = demand_valid(release, keys)
    architecture = manifest.platform.partition("/")[2].replace("/", "-")
    target = output or Path(f"dockmon-agent-{manifest.version}-linux-{architecture}.pyz")
    try:
        pack(target, _members(release, keys))
    except (ArchiveError, OSError) as error:
        raise ReleaseError(f"{target} cannot be made: {error}") from error
    return target


def _members(release: Path, keys: Path) -> Iterator[Member]:
    package = release / SITE / "agent"
    yield Member("__main__.py", (package / "installer" / "entry.py").read_bytes())
    for name in _FOR_THE_INSTALLER:
        yield Member(f"agent/{name}", (package / name).read_bytes())
    for name in _ITS_PACKAGES:
        for path in sorted((package / name).glob("*.py")):
            yield Member(f"agent/{name}/{path.name}", path.read_bytes())
    for member in launcher_members(package):
        yield Member(f"{LAUNCHER}/{member.path}", member.content)
    for member in key_members(keys):
        yield Member(f"{KEYS}/{member.path}", member.content)
    yield from members_of(release, RELEASE)
