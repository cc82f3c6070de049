"""A verification that takes its time: systemd goes on hearing of us, and every wait has an end."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from launcher.machine_room import REPOSITORY
from launcher.releases import Release, canonical
from launcher.unburied import unburied

pytestmark = pytest.mark.real_time

ENDLESS_BYTES = 2**42
"""Of zeros, which take no room on the disk, and hours to read."""

INSPECTS = """
import sys
from agent.launcher.inspection import Inspection

directory, deadline_s, end_s = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
print(Inspection("", deadline_s=deadline_s, end_s=end_s).of_baked(directory).why)
"""


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A release with a file that is never read to its end."""
    directory = Release("1.0.0").put(tmp_path / "release", None)
    os.truncate(directory / "plan.json", ENDLESS_BYTES)
    manifest = json.loads((directory / "manifest.json").read_bytes())
    manifest["files"]["plan.json"]["size"] = ENDLESS_BYTES
    manifest["build_id"] = hashlib.sha256(canonical(manifest["files"])).hexdigest()
    (directory / "manifest.json").write_bytes(canonical(manifest))
    return directory


def inspecting(
    release: Path, *, deadline_s: float, end_s: float = 10.0, **environ: str
) -> subprocess.Popen[str]:
    """A process that verifies the release, and prints why it does not verify."""
    return subprocess.Popen(
        (sys.executable, "-c", INSPECTS, str(release), str(deadline_s), str(end_s)),
        stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env={**os.environ, **environ},
    )  # fmt: skip


def child_of(process: subprocess.Popen[str]) -> int:
    """Its only child, as soon as there is one."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        if found := children.read_text().split():
            return int(found[0])
    raise AssertionError("it ended without a child")


def test_a_release_that_is_never_read_to_its_end(endless: Path) -> None:
    """It does not verify, and its reader does not outlive the answer."""
    with inspecting(endless, deadline_s=0.3) as launcher:
        why, _ = launcher.communicate(timeout=20)
    assert why == "it could not be read within 0.3 s\n"


def test_signs_of_life_meanwhile(endless: Path, tmp_path: Path) -> None:
    """At its beginning, and then in half of the time that systemd allows."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(10)
        manager.bind(str(tmp_path / "notify"))
        with inspecting(
            endless,
            deadline_s=1.0,
            NOTIFY_SOCKET=str(tmp_path / "notify"),
            WATCHDOG_USEC="200000",
        ) as launcher:
            heard = [manager.recv(1000) for _ in range(5)]
            assert launcher.poll() is None
            launcher.communicate(timeout=20)
    assert set(heard) == {b"WATCHDOG=1"}


def test_a_reader_that_cannot_be_killed(endless: Path) -> None:
    """It is not waited for any longer than for an answer, and whoever can mend that is told what to look at."""
    with inspecting(endless, deadline_s=0.5, end_s=0.3) as launcher, unburied(child_of(launcher)):
        why, _ = launcher.communicate(timeout=20)
    assert why.startswith("it could not be read within 0.5 s, and its reader hangs in the kernel")
    assert str(endless) in why
