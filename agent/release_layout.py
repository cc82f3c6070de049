"""How an installation is laid out from a release: ROOT with launcher, release and keys.

For the release tools and for the installer, which has nothing but the standard library.
"""

from __future__ import annotations

import compileall
import py_compile
from collections.abc import Iterator
from pathlib import Path

from agent.release_archive import Member

LAUNCHER = "launcher"
RELEASE = "release"
KEYS = "keys"


def launcher_members(package: Path) -> Iterator[Member]:
    """The files of ROOT/launcher, by their paths there.

    Args:
        package: The directory of the package `agent` that they are taken from.
    """
    yield Member("__main__.py", (package / "launcher" / "__main__.py").read_bytes())
    for name in ("__init__.py", "faults.py"):
        yield Member(f"agent/{name}", (package / name).read_bytes())
    for path in sorted((package / "launcher").glob("*.py")):
        yield Member(f"agent/launcher/{path.name}", path.read_bytes())


def key_members(keys: Path | None) -> Iterator[Member]:
    """The root public keys in a directory, by their names; none for None."""
    for path in sorted(keys.glob("*.pub")) if keys is not None else ():
        yield Member(path.name, path.read_bytes())


def write(directory: Path, members: Iterator[Member]) -> None:
    """Writes them as new files below `directory`."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    for member in members:
        path = directory / member.path
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(member.content)
        path.chmod(0o644)


def compile_launcher(launcher: Path) -> None:
    """Compiles it now, for its directory may be read-only later. Another source in its place is still noticed."""
    compileall.compile_dir(
        launcher,
        quiet=2,
        stripdir=str(launcher),
        invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
    )
