"""This machine's busybox as a root file system: an image for which nothing has to be pulled."""

from __future__ import annotations

import io
import platform
import tarfile
from collections.abc import Mapping
from pathlib import Path

PROGRAM = Path("/bin/busybox")

_APPLETS = ("sh", "sleep", "uname", "true", "false")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def runs_on(engine: Mapping[str, object]) -> bool:
    """Whether containers of that engine can run it. `engine` is what its `/version` says."""
    ours = _MACHINES.get(platform.machine(), "another")
    return _is_static() and (engine.get("Os"), engine.get("Arch")) == ("linux", ours)


def root() -> bytes:
    """A tar archive with a shell, and what it needs to wait, to answer and to be healthy or not."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(PROGRAM.resolve(), "bin/busybox")
        for applet in _APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return archive.getvalue()


def _is_static() -> bool:
    # A dynamic program names its loader in its first page.
    try:
        with PROGRAM.open("rb") as file:
            return b"/ld-" not in file.read(4096)
    except OSError:
        return False
