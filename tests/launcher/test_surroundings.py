"""The launcher as a process: damaged files, foreign releases, volumes that cannot be used, other launchers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from launcher.machine_room import Launcher, Room, Running, filled, settled, switch
from launcher.releases import Release, Signer
from launcher.unburied import unburied

pytestmark = pytest.mark.real_time

OLD = Release("1.0.0")
NEW = Release("2.0.0")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts, and becomes other users")


def committed(room: Room) -> None:
    """2.0.0 is installed, the image has 1.0.0, and nothing runs."""
    room.bake(OLD)
    launcher = room.start()
    old = launcher.next()
    room.store(NEW)
    assert old.says("switch", **switch(NEW))["ok"]
    launcher.next().says("registered")
    settled(room, lambda state: state["active"] == NEW.build_id)
    assert launcher.stop() == 0


def refused(
    room: Room,
    release: Release = NEW,
    *,
    signer: Signer | None = None,
    spoil: Callable[[Path], object] = bool,
    **changes: object,
) -> str:
    """Why the running release does not get a switch to this one, with a slot that was spoilt; it goes on."""
    room.bake(OLD)
    launcher = room.start()
    running = launcher.next()
    room.store(release, signer)
    spoil(room.slot(release))
    answer = running.says("switch", **switch(release, **changes))
    assert answer["ok"] is False
    assert running.says("heartbeat") == {"done": True}
    assert room.state()["trial"] is None
    return str(answer["why"])


# Releases that are not put on trial


def test_unsigned(room: Room) -> None:
    """The server's word is not enough."""
    assert refused(room, spoil=lambda slot: (slot / "manifest.sig").unlink()) == "it is not signed"


def test_signed_by_others(room: Room) -> None:
    """A key that no root key here has certified vouches for nothing."""
    assert "none of the root keys" in refused(room, signer=Signer())


def test_signature_of_another_release(room: Room) -> None:
    """A signature is for the bytes of one manifest."""
    other = room.signer.sign(OLD.manifest_bytes)
    why = refused(room, spoil=lambda slot: (slot / "manifest.sig").write_bytes(other))
    assert "its signature is wrong" in why


def test_without_keys(room: Room) -> None:
    """Where no root key is installed, nothing can be updated."""
    (room.root / "keys" / "root.pub").unlink()
    assert "none of the root keys" in refused(room)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (
            lambda slot: (slot / "plan.json").write_bytes(b"{}"),
            "plan.json is not what its manifest says",
        ),
        (lambda slot: (slot / "plan.json").unlink(), "plan.json is missing"),
        (lambda slot: (slot / "more.py").write_bytes(b""), "more.py is not in its manifest"),
        (lambda slot: (slot / "empty").mkdir(), "the directory empty is not in its manifest"),
        (lambda slot: (slot / "link").symlink_to("start.py"), "link is not a regular file"),
        (lambda slot: os.mkfifo(slot / "pipe"), "pipe is not a regular file"),
        (lambda slot: (slot / "manifest.json").write_bytes(b"{"), "its manifest cannot be read"),
    ],
)
def test_altered(room: Room, spoil: Callable[[Path], object], why: str) -> None:
    """Every file is compared, in both directions."""
    assert refused(room, spoil=spoil).startswith(why)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"platform": "linux/s390x"}, "it is made for linux/s390x"),
        ({"python": "cpython-399-x86_64-linux-gnu"}, "it needs Python cpython-399"),
        ({"libc": "glibc-99.0"}, "it needs glibc-99.0 or newer"),
        ({"min_launcher": 2}, "it needs launcher 2, and this is 1: recreate needed"),
        ({"format": 2}, "its manifest has a format that this launcher does not know: recreate"),
        ({"data_schema": {"reads": [2], "writes": 2}}, "it cannot read the data"),
        ({"build_id": "0" * 64}, "its build_id is not the hash of its files"),
    ],
)
def test_misfits(room: Room, changes: dict[str, object], why: str) -> None:
    """What cannot run here is refused before anything is stopped."""
    assert refused(room, Release("2.0.0", manifest=changes)).startswith(why)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": "2.0.1"}, "it is version 2.0.0, not 2.0.1"),
        ({"build_id": "../../etc"}, "build_id has to be 64 hex digits"),
        ({"build_id": "0" * 64}, "it cannot be read: No such file"),
        ({"build_id": OLD.build_id}, "this release runs already"),
        ({"deadline_s": 0}, "deadline_s has to be whole seconds"),
        ({"command": "reboot"}, "command has to be one of"),
        ({"command_id": None}, "command_id has to be a text"),
        ({"needs_engine": 1}, "needs_engine has to be true or false"),
    ],
)
def test_wrong_requests(room: Room, changes: dict[str, Any], why: str) -> None:
    """A request is taken at its word, or not at all."""
    assert refused(room, **changes).startswith(why)


def test_a_failed_build(room: Room) -> None:
    """It is not tried again for the same command, but for another one."""
    bad = Release("2.0.0", ({"exit": 3},))
    room.bake(OLD)
    launcher = room.start()
    running = launcher.next()
    room.store(bad)
    assert running.says("switch", **switch(bad))["ok"]
    *_, running = (launcher.next() for _ in range(4))
    room.store(bad)
    assert "was tried for this command" in running.says("switch", **switch(bad))["why"]
    assert running.says("switch", **switch(bad, command_id="command-2"))["ok"]


def test_one_at_a_time(room: Room) -> None:
    """A release on trial gets no switch before it has registered."""
    room.bake(OLD)
    launcher = room.start()
    old = launcher.next()
    room.store(NEW)
    third = room.store(Release("3.0.0"))
    assert old.asked(say={"say": "switch", **switch(NEW)}, lingers=True)["ok"]
    other = old.says("switch", **switch(third, command_id="command-2"))
    assert other["why"] == "another update is under way"
    assert old.says("switch", **switch(NEW))["ok"]
    new = launcher.next()
    assert "itself on trial" in new.says("switch", **switch(third))["why"]


# Damage


def test_a_bit_flips_in_the_active_slot(room: Room) -> None:
    """It is found before a byte of it runs, and the fallback runs."""
    committed(room)
    (room.slot(NEW) / "site-packages/agent/__init__.py").write_bytes(b"\1")
    launcher = room.start()
    assert launcher.next()["version"] == "1.0.0"
    assert "is not run: site-packages/agent/__init__.py is not what" in launcher.log
    assert room.slots() == set()


def test_a_torn_state(room: Room) -> None:
    """The previous state is taken, so that nothing is downgraded; the torn one is kept for whoever wants to see it."""
    committed(room)
    whole = (room.update / "state.json").read_bytes()
    (room.update / "state.json").write_bytes(whole[: len(whole) // 2])
    launcher = room.start()
    running = launcher.next()
    assert running["version"] == "2.0.0"
    assert "state.json is damaged and is passed over" in launcher.log
    assert (room.update / "state.json.corrupt").exists()
    running.says("registered")
    settled(room, lambda state: state["trial"] is None)


def test_both_states_torn(room: Room) -> None:
    """Then nothing is known, and the image's release runs."""
    committed(room)
    for name in ("state.json", "state.json.1"):
        (room.update / name).write_bytes(b"\0" * 100)
    assert room.start().next()["version"] == "1.0.0"


def test_a_trial_that_rots(room: Room) -> None:
    """A slot that does not verify any more is rolled back without an attempt."""
    room.bake(OLD)
    launcher = room.start()
    old = launcher.next()
    room.store(NEW)
    assert old.asked(say={"say": "switch", **switch(NEW)}, lingers=True)["ok"]
    (room.slot(NEW) / "plan.json").unlink()
    old.tell(exit=0)
    result = launcher.next()["launch"]["last_result"]
    assert result["reason"] == "the installed release does not verify: plan.json is missing"


def test_what_was_under_way_is_removed(room: Room) -> None:
    """After a restart staging is rubbish, and so is a slot that nothing refers to."""
    committed(room)
    (room.update / "staging" / "x" / "y").mkdir(parents=True)
    (room.update / "staging" / "x" / "link").symlink_to(room.root)
    room.store(Release("3.0.0"))
    (room.update / "state.json.tmp").write_bytes(b"")
    launcher = room.start()
    launcher.next()
    assert room.left_over() == []
    assert (room.root / "release" / "start.py").exists()


# What the operator does


def test_another_image(room: Room) -> None:
    """An image that was changed is the operator's word, be it older: its release runs, installed ones are gone."""
    committed(room)
    room.bake(Release("0.9.0"))
    launcher = room.start()
    assert launcher.next()["version"] == "0.9.0"
    assert room.slots() == set()
    assert launcher.stop() == 0
    assert room.start().next()["version"] == "0.9.0"


def test_below_the_security_floor(room: Room) -> None:
    """An image older than a release that demanded more does not win by itself."""
    floored = Release("2.0.0", manifest={"security_floor": 3})
    room.bake(OLD)
    launcher = room.start()
    old = launcher.next()
    room.store(floored)
    assert old.says("switch", **switch(floored))["ok"]
    new = launcher.next()
    assert (old["launch"]["security_floor"], new["launch"]["security_floor"]) == (0, 3)
    new.says("registered")
    settled(room, lambda state: state["security_floor"] == 3)
    older = room.store(Release("1.5.0", manifest={"security_floor": 2}))
    assert "security floor" in new.says("switch", **switch(older, command_id="command-2"))["why"]
    assert launcher.stop() == 0
    room.bake(Release("0.9.0"))
    launcher = room.start()
    assert launcher.next()["version"] == "2.0.0"
    assert "below the security floor" in launcher.log
    assert launcher.stop() == 0
    assert room.start(AGENT_IGNORE_SLOTS="1").next()["version"] == "0.9.0"


def test_ignored_slots(room: Room) -> None:
    """AGENT_IGNORE_SLOTS runs the image's release and leaves the volume as it is."""
    committed(room)
    before = room.state()
    launcher = room.start(AGENT_IGNORE_SLOTS="true")
    running = launcher.next()
    assert running["version"] == "1.0.0"
    assert running["launch"]["update_dir"] is None
    assert "AGENT_IGNORE_SLOTS" in running["launch"]["why_no_updates"]
    running.says("registered")
    assert "AGENT_IGNORE_SLOTS" in running.says("switch", **switch(NEW))["why"]
    assert launcher.stop() == 0
    assert room.state() == before
    assert room.start().next()["version"] == "2.0.0"


def test_two_on_one_volume(room: Room) -> None:
    """The second waits, says for what, and runs nothing until the first has ended."""
    room.bake(OLD)
    first = room.start()
    running = first.next()
    second = room.start()
    settled(room, lambda _: "another agent uses" in second.log)
    third = room.start()
    settled(room, lambda _: "another agent uses" in third.log)
    assert third.stop() == 0
    assert running.says("heartbeat") == {"done": True}
    assert first.stop() == 0
    assert second.next()["version"] == "1.0.0"


@pytest.mark.parametrize("words", [("chart", "--all"), ("--version",)])
def test_other_words(room: Room, words: tuple[str, ...]) -> None:
    """Anything else is for the release that would run."""
    committed(room)
    ran = subprocess.run(
        room.line(*words), env=room.environ(), capture_output=True, timeout=20, check=True
    )
    assert json.loads(ran.stdout) == {"version": "2.0.0", "words": list(words)}


# Volumes


@pytest.fixture
def tmpfs(room: Room) -> Iterator[Callable[[str], None]]:
    """Mounts a small file system on the update directory, or changes how it is mounted."""

    def mount(options: str) -> None:
        remount = "remount," if room.update.is_mount() else ""
        room.update.mkdir(exist_ok=True)
        subprocess.run(
            ("mount", "-t", "tmpfs", "-o", remount + options, "tmpfs", str(room.update)), check=True
        )

    yield mount
    room.close()
    if room.update.is_mount():
        subprocess.run(("umount", "-l", str(room.update)), check=True)


@needs_root
def test_a_read_only_volume(room: Room, tmpfs: Callable[[str], None]) -> None:
    """The image's release runs, and is told why there are no updates."""
    tmpfs("size=4m")
    committed(room)
    tmpfs("ro,size=4m")
    launcher = room.start()
    running = launcher.next()
    assert running["version"] == "1.0.0"
    assert running["launch"]["update_dir"] is None
    assert "mount a named volume there, and not read-only" in running["launch"]["why_no_updates"]
    assert "read-only" in running.says("switch", **switch(NEW))["why"]
    running.tell(exit=3)
    assert launcher.ends() == 3


@needs_root
def test_a_full_volume(room: Room, tmpfs: Callable[[str], None]) -> None:
    """The ballast is given up for the state, so that an update goes through; it comes back when there is room."""
    tmpfs("size=4m")
    room.bake(OLD)
    launcher = room.start()
    old = launcher.next()
    room.store(NEW)
    filler = filled(room.update)
    assert old.says("switch", **switch(NEW))["ok"]
    assert "used the ballast" in launcher.log
    new = launcher.next()
    assert not (room.update / "spare").exists()
    filler.unlink()
    new.says("registered")
    settled(room, lambda state: state["active"] == NEW.build_id)
    settled(room, lambda _: (room.update / "spare").exists())


def waiting(room: Room, tmpfs: Callable[[str], None]) -> tuple[Launcher, Running, Path]:
    """A trial that could not be counted: what ran before it runs on. The file is what fills the volume."""
    tmpfs("size=4m")
    room.bake(OLD)
    launcher = room.start()
    old = launcher.next()
    room.store(NEW)
    assert old.asked(say={"say": "switch", **switch(NEW)}, lingers=True)["ok"]
    (room.update / "spare").unlink()
    filler = filled(room.update)
    old.tell(exit=0)
    old = launcher.next()
    assert old["version"] == "1.0.0"
    return launcher, old, filler


@needs_root
def test_a_full_volume_without_ballast(room: Room, tmpfs: Callable[[str], None]) -> None:
    """A trial whose attempts cannot be counted waits, and what ran before runs on."""
    launcher, _, filler = waiting(room, tmpfs)
    assert "waits until its attempts can be counted" in launcher.log
    assert launcher.stop() == 0
    filler.unlink()
    new = room.start().next()
    assert (new["version"], new["launch"]["running"]["on_trial"]) == ("2.0.0", True)


@needs_root
def test_another_update_while_a_trial_waits(room: Room, tmpfs: Callable[[str], None]) -> None:
    """There is room again and another command comes: it takes the place of the trial that could not be counted."""
    launcher, old, filler = waiting(room, tmpfs)
    filler.unlink()
    third = room.store(Release("3.0.0"))
    assert old.says("switch", **switch(third, command_id="command-2"))["ok"]
    assert launcher.next()["version"] == "3.0.0"
    assert "could not be counted" in room.state()["failed"][NEW.build_id]["reason"]


@needs_root
def test_a_commit_on_a_full_volume(room: Room, tmpfs: Callable[[str], None]) -> None:
    """What was registered stays registered: it is written down as soon as there is room."""
    tmpfs("size=4m")
    room.bake(OLD)
    launcher = room.start()
    old = launcher.next()
    room.store(NEW)
    assert old.says("switch", **switch(NEW, deadline_s=1))["ok"]
    new = launcher.next()
    (room.update / "spare").unlink()
    filler = filled(room.update)
    new.says("registered")
    settled(room, lambda _: "free some space" in launcher.log)
    filler.unlink()
    new.says("heartbeat")
    settled(room, lambda state: state["active"] == NEW.build_id)


# Processes


def test_sigint(room: Room) -> None:
    """It stops like SIGTERM, and so does the group of the release."""
    room.bake(OLD)
    launcher = room.start()
    running = launcher.next()
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.ends() == 0
    running.wait_end()


def test_a_stop_that_is_ignored(rooms: Callable[..., Room]) -> None:
    """After the grace it is a kill, and the status says so."""
    room = rooms("grace_s=0.3")
    room.bake(OLD)
    launcher = room.start()
    launcher.next().asked(deaf=True)
    assert launcher.stop() == 128 + signal.SIGKILL


def test_a_release_that_cannot_be_killed(rooms: Callable[..., Room]) -> None:
    """It is not waited for any longer than that, and whoever can mend it is told what to look at."""
    room = rooms("silence_s=0.3, grace_s=0.3, gone_s=0.3")
    room.bake(OLD)
    launcher = room.start()
    running = launcher.next()
    with unburied(running["pid"]):
        assert launcher.ends() == 128 + signal.SIGKILL
    assert "gave no sign of life for 0.3 s; it was killed and is not gone" in launcher.log


@needs_root
def test_pid_1(room: Room) -> None:
    """In a container it is the parent of all orphans, and buries them; it stops like any other."""
    room.bake(OLD)
    launcher = room.start(before=("unshare", "--pid", "--fork", "--mount-proc", "--kill-child"))
    running: Running = launcher.next()
    assert (running["ppid"], running["pid"] > 1) == (1, True)
    for _ in range(3):
        running.asked(orphan=True)
    while len(states := running.asked(processes=True)["states"]) > 2:
        pass
    assert "Z" not in states
    assert ended_by_init(launcher) == 0


def ended_by_init(launcher: Launcher) -> int:
    """Stops the process below `unshare`, which itself passes no signal on."""
    children = Path(f"/proc/{launcher.process.pid}/task/{launcher.process.pid}/children")
    os.kill(int(children.read_text()), signal.SIGTERM)
    return launcher.ends()
