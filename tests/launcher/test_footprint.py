"""What the launcher costs beside the agent, and what it must never load."""

from __future__ import annotations

import ast
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from launcher.machine_room import REPOSITORY, Room, settled, switch
from launcher.releases import Release

pytestmark = pytest.mark.real_time

HEAVY = {
    "re",
    "ssl",
    "subprocess",
    "json",
    "typing",
    "dataclasses",
    "inspect",
    "pathlib",
    "logging",
}
HEAVY |= {"hashlib", "_hashlib", "tempfile", "shutil", "argparse", "threading", "asyncio"}

PRIVATE_KB = 8 * 1024
PSS_KB = 12 * 1024

MAIN = """\
import sys
from agent.launcher import keeper
from agent.launcher.main import main

class Told(keeper.Keeper):
    def run(self):
        status = super().run()
        print(*sorted(sys.modules))
        return status

from agent.launcher import main as module
module.Keeper = Told
main(__file__, drops_root=False)
"""


def memory_kb(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {
        name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)
    }


def test_memory(room: Room) -> None:
    """Private at most 8 MB and PSS at most 12, after an update with all that it takes."""
    room.bake(Release("1.0.0"))
    launcher = room.start()
    old = launcher.next()
    new = room.store(Release("2.0.0"))
    assert old.says("switch", **switch(new))["ok"]
    launcher.next().says("registered")
    settled(room, lambda state: state["trial"] is None)
    memory = memory_kb(launcher.process.pid)
    assert memory["Private_Clean"] + memory["Private_Dirty"] <= PRIVATE_KB
    assert memory["Pss"] <= PSS_KB


def test_modules(room: Room) -> None:
    """None of the heavy ones is loaded in a supervisor's life, verification included."""
    room.bake(Release("1.0.0", ({"exit": 0},)))
    (room.root / "launcher" / "__main__.py").write_text(MAIN)
    ran = subprocess.run(
        room.line(), env=room.environ(), capture_output=True, text=True, timeout=20, check=True
    )
    loaded = set(ran.stdout.split())
    assert "agent.launcher.keeper" in loaded
    assert loaded & HEAVY == set()


def test_standard_library_only() -> None:
    """It has to start whatever has become of everything else."""
    for path in (REPOSITORY / "agent" / "launcher").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top = name.partition(".")[0]
                assert top == "agent" or top in sys.stdlib_module_names, f"{path.name}: {name}"


def test_health(room: Room, tmp_path: Path) -> None:
    """One line and a status, from whoever answers first; nobody is no health."""
    answers = tmp_path / "health"
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from agent.launcher.health import health; sys.exit(health(sys.argv[2:]))"
    )
    line = [sys.executable, "-I", "-S", "-B", "-c", program, str(room.root / "launcher")]
    line += [str(tmp_path / "nobody"), str(answers)]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(answers))
        server.listen()
        for answer, told in [
            (b'{"alive": true, "states": {"lifecycle": "connected"}, "pulse_age_s": 0.5}\n', 0),
            (b'{"alive": false, "states": {"lifecycle": "connected"}, "pulse_age_s": 60.5}\n', 1),
            (b"[]\n", 1),
        ]:
            asking = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
            connection, _ = server.accept()
            with connection:
                connection.sendall(answer)
            out, _ = asking.communicate(timeout=10)
            assert asking.returncode == told
            assert out in (
                "alive: lifecycle connected\n",
                "stalled: lifecycle connected\n",
                "no agent answers on this machine\n",
            )
    ran = subprocess.run(line, capture_output=True, text=True, timeout=10, check=False)
    assert (ran.returncode, ran.stdout) == (1, "no agent answers on this machine\n")


def test_systemd(room: Room, tmp_path: Path) -> None:
    """Ready with the first release, alive in half of the time that is allowed, stopping when told to."""
    room.bake(Release("1.0.0"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(10)
        manager.bind(str(tmp_path / "notify"))
        launcher = room.start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="200000")
        while (first := manager.recv(1000)) == b"WATCHDOG=1":
            pass  # while it verifies
        assert first == b"STATUS=release 1.0.0 (of the image) starts"
        assert manager.recv(1000) == b"READY=1"
        assert {manager.recv(1000) for _ in range(3)} == {b"WATCHDOG=1"}
        launcher.next()
        assert launcher.stop() == 0
        while (last := manager.recv(1000)) == b"WATCHDOG=1":
            pass
        assert last == b"STOPPING=1"
