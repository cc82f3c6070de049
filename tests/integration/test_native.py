"""The native installation at work: made, signed, installed, started through its launcher, and registered."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from release.workshop import Ceremony, install_what_is_here

from agent.hub.server import Hub
from agent.release.building import build
from agent.release.packing import native_file
from agent.release.tree import write_manifest

START_S = 60.0

# Root in a container would have the launcher become somebody who may not read these directories.
LAUNCHER = """\
import sys
root = sys.argv.pop(1)
sys.path.insert(0, f"{root}/launcher")
from agent.launcher.main import main
main(f"{root}/launcher/__main__.py", drops_root=False)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """ROOT as `python3 FILE.pyz install` leaves it."""
    release, ceremony = tmp_path / "made", Ceremony(tmp_path / "keys")
    install_what_is_here(release / "site-packages")
    build(release, None, None)
    write_manifest(release)
    file = native_file(ceremony.sign(release), ceremony.trusted, tmp_path / "agent.pyz")
    subprocess.run(
        (sys.executable, "-I", "-S", str(file), "install", "--staged-in", str(tmp_path / "host")),
        check=True,
        timeout=60,
    )
    return tmp_path / "host" / "opt" / "dockmon-agent"


async def test_from_the_one_file_to_a_registered_host(
    root: Path, hub: Hub, settings: dict[str, str], tmp_path: Path
) -> None:
    """It registers, says that its release came with the installation, and ends with 0 when it is told to."""
    environ = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
    data = tmp_path / "data"
    data.mkdir()
    launcher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-B", "-c", LAUNCHER, str(root)),
        env={**environ, **settings, "DATA_PATH": str(data), "LOG_JSON": "false"},
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        await hub.host_online(timeout_s=START_S)
        launcher.send_signal(signal.SIGTERM)
        async with asyncio.timeout(START_S):
            _, said = await launcher.communicate()
    finally:
        if launcher.returncode is None:
            os.killpg(launcher.pid, signal.SIGKILL)
    assert launcher.returncode == 0, said.decode()
    assert "(of the image) starts" in said.decode()
