"""Started as root: who the launcher becomes, whose the data is then, and what it says if it cannot."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from launcher.machine_room import REPOSITORY, Launcher, Room
from launcher.releases import Release, Signer

from agent.launcher.privileges import missing_capabilities

PYTHON = "/usr/bin/python3"

needs_root = [
    pytest.mark.real_time,
    pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user"),
    pytest.mark.skipif(not os.path.exists(PYTHON), reason="needs a Python that anybody can run"),  # noqa: PTH110
]

SOCKET_GROUP = 4242
AS_PID_1 = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


@pytest.mark.parametrize(
    ("capabilities", "missing"),
    [
        ("000001ffffffffff", []),
        ("00000000a80425fb", []),  # what Docker gives
        ("0000000000000000", ["CHOWN", "DAC_OVERRIDE", "SETGID", "SETUID"]),
        ("00000000000000c1", ["DAC_OVERRIDE"]),
    ],
)
def test_what_is_missing(capabilities: str, missing: list[str]) -> None:
    """By the kernel's own word."""
    status = f"Name:\tpython3\nCapInh:\t0000000000000000\nCapEff:\t{capabilities}\n"
    assert missing_capabilities(status) == missing


class PublicRoom(Room):
    """One that any user can enter, with a Python that any user can run, and the launcher as it is shipped."""

    def line(self, *words: str) -> list[str]:
        return [PYTHON, "-I", "-S", "-B", str(self.root / "launcher"), *words]


@pytest.fixture
def public(request: pytest.FixtureRequest) -> Iterator[PublicRoom]:
    soabi = subprocess.run(
        (PYTHON, "-c", "import sysconfig; print(sysconfig.get_config_var('SOABI'))"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    path = Path(tempfile.mkdtemp(prefix="room-"))
    path.chmod(0o755)
    room = PublicRoom(path, Signer())
    shutil.copy(REPOSITORY / "agent/launcher/__main__.py", room.root / "launcher")
    room.bake(Release("1.0.0", manifest={"python": soabi}))
    engine = path / "docker.sock"
    engine.touch()
    os.chown(engine, 0, SOCKET_GROUP)
    yield room
    room.close()
    shutil.rmtree(path)


def start(room: Room, *before: str) -> Launcher:
    return room.start(before=before, DOCKER_HOST=f"unix://{room.path}/docker.sock")


class TestRoot:
    pytestmark = needs_root

    def test_root_becomes_nobody_special(self, public: PublicRoom) -> None:
        """uid 1000 with the socket's group; what was root's is its own, what is others' stays theirs."""
        data, outside = public.data, public.path / "outside"
        outside.touch()
        (data / "permanent_token").touch(0o600)
        (data / "stacks" / "web" / "database").mkdir(parents=True)
        (data / "stacks" / "web" / "database" / "rows").touch()
        os.chown(data / "stacks" / "web" / "database", 999, 999)
        (data / "link").symlink_to(outside)
        public.update.mkdir()
        (public.update / "slots").mkdir()
        os.chown(public.update, 1000, 1000)

        launcher = start(public, *AS_PID_1)
        running = launcher.next()
        assert running["uid"] == 1000
        assert set(running["groups"]) == {1000, SOCKET_GROUP}
        assert running["launch"]["update_dir"] == str(public.update)
        for path in ("permanent_token", "link", "stacks", "stacks/web", "update/slots", "."):
            assert (data / path).lstat().st_uid == 1000, path
        assert (data / "stacks/web/database").stat().st_uid == 999
        assert (data / "stacks/web/database/rows").stat().st_uid == 0
        assert outside.stat().st_uid == 0
        assert (public.update / "state.json").stat().st_uid == 1000

    def test_without_the_capabilities(self, public: PublicRoom) -> None:
        """A clear end instead of a half root: what is missing, and how to do without."""
        dropped = "--bounding-set=-setuid,-chown"
        launcher = start(public, *AS_PID_1, "setpriv", "--inh-caps=-setuid,-chown", dropped)
        assert launcher.ends() == 78
        assert "without the capabilities CHOWN, SETUID" in launcher.log
        assert f"--user 1000 --group-add {SOCKET_GROUP}" in launcher.log
        assert "--cap-add CHOWN --cap-add SETUID" in launcher.log

    def test_a_state_that_is_roots(self, public: PublicRoom) -> None:
        """To an ordinary user who cannot read it the volume is not usable, and that is said; nothing crash-loops."""
        public.update.mkdir()
        (public.update / "state.json").touch(0o600)
        os.chown(public.data, 1000, 1000)
        os.chown(public.update, 1000, 1000)
        as_user = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups")
        launcher = start(public, *as_user)
        running = launcher.next()
        assert running["version"] == "1.0.0"
        assert running["launch"]["update_dir"] is None
        assert "let uid 1000 write there: chown -R 1000" in running["launch"]["why_no_updates"]
        launcher.process.send_signal(signal.SIGTERM)
        assert launcher.ends() == 0

    def test_a_volume_that_is_roots(self, public: PublicRoom) -> None:
        """The same for a directory that cannot be made."""
        public.data.chmod(0o755)
        as_user = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups")
        running = start(public, *as_user).next()
        assert running["launch"]["update_dir"] is None
        assert "permission denied" in running["launch"]["why_no_updates"]
