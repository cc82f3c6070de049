"""The launcher as a process: releases that prove themselves, and those that do not."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from launcher.machine_room import Launcher, Room, Running, settled, switch
from launcher.releases import Release

pytestmark = pytest.mark.real_time

OLD = Release("1.0.0")
NEW = Release("2.0.0")
REGISTER = {"say": {"say": "registered"}}


def started(room: Room) -> tuple[Launcher, Running]:
    """The baked release, registered."""
    room.bake(OLD)
    launcher = room.start()
    old = launcher.next()
    old.says("registered")
    return launcher, old


def updated(room: Room, new: Release, **changes: object) -> tuple[Launcher, Running]:
    """The new release, on trial."""
    launcher, old = started(room)
    room.store(new)
    assert old.says("switch", **switch(new, **changes)) == {"re": "switch", "ok": True}
    return launcher, launcher.next()


def test_first_start(room: Room) -> None:
    """Without any state the image's release runs, isolated, and is told all it needs to know."""
    room.bake(OLD)
    launcher = room.start(NOTIFY_SOCKET="/nowhere", WATCHDOG_USEC="1000000", OF_THE_USER="kept")
    old = launcher.next()
    assert (old["version"], old["flags"]) == ("1.0.0", [1, 1, 1])
    assert old["ppid"] == launcher.process.pid
    assert old["group"] == old["pid"]
    assert old["environ"]["OF_THE_USER"] == "kept"
    assert old["environ"]["MALLOC_ARENA_MAX"] == "1"
    assert {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & old["environ"].keys() == set()
    assert old["launch"] == {
        "launcher_api": 1,
        "running": {
            "build_id": OLD.build_id,
            "version": "1.0.0",
            "source": "baked",
            "on_trial": False,
        },
        "baked": {"build_id": OLD.build_id, "version": "1.0.0"},
        "update_dir": str(room.update),
        "why_no_updates": "",
        "root_keys": 1,
        "keys_dir": str(room.root / "keys"),
        "security_floor": 0,
        "trial": None,
        "last_result": None,
    }
    assert launcher.stop() == 0
    assert room.state()["baked_seen"] == OLD.build_id


def test_a_trial_that_commits(room: Room) -> None:
    """Registered means kept: the old release becomes the fallback, and the server is told once."""
    launcher, new = updated(room, NEW)
    assert new["launch"]["running"] == {
        "build_id": NEW.build_id,
        "version": "2.0.0",
        "source": "slot",
        "on_trial": True,
    }
    assert new["launch"]["trial"] == {
        "command_id": "command-1",
        "command": "self_update",
        "needs_engine": True,
    }
    assert room.state()["trial"]["attempts"] == 1
    new.says("registered")
    settled(room, lambda state: state["trial"] is None)
    assert room.state()["active"] == NEW.build_id
    assert launcher.stop() == 0

    launcher = room.start()
    again = launcher.next()
    assert again["launch"]["running"]["on_trial"] is False
    assert again["launch"]["last_result"] == {
        "command_id": "command-1",
        "command": "self_update",
        "version": "2.0.0",
        "outcome": "updated",
        "reason": "",
        "proof_s": None,
    }
    again.says("reported", command_id="command-1")
    settled(room, lambda state: state["last_result"]["reported"])
    assert launcher.stop() == 0

    launcher = room.start()
    assert launcher.next()["launch"]["last_result"] is None


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (Release("2.0.0", ({"exit": 3},)), "exited with 3"),
        (Release("2.0.0", ({"exit": 0},)), "exited with 0"),
        (Release("2.0.0", ({"exit": 78},)), "exited with 78"),
        (Release("2.0.0", ({"signal": int(signal.SIGSEGV)},)), "ended by SIGSEGV"),
    ],
)
def test_a_release_that_ends_too_soon(room: Room, bad: Release, said: str) -> None:
    """Three attempts, each counted before it is made; then the old release runs again, in the same process."""
    launcher, first = updated(room, bad)
    attempts = [first]
    while attempts[-1]["version"] == "2.0.0":
        attempts.append(launcher.next())
    assert [running["version"] for running in attempts] == ["2.0.0"] * 3 + ["1.0.0"]
    result = attempts[-1]["launch"]["last_result"]
    assert (result["outcome"], result["version"]) == ("rolled_back", "2.0.0")
    assert result["reason"] == f"not registered in 3 attempts; the last one {said}"
    assert room.state()["failed"][bad.build_id]["attempts"] == 3
    assert room.slots() == set()


def test_a_release_that_never_registers(room: Room) -> None:
    """Its deadline takes it back at once; the old one registers in that time, so it was the release's fault."""
    launcher, _ = updated(room, NEW, deadline_s=1)
    old = launcher.next()
    old.says("registered")
    result = old["launch"]["last_result"]
    assert result["outcome"] == "rolled_back"
    assert result["reason"] == "was not registered within 1 s (exited with 0)"
    assert launcher.stop() == 0
    assert list(room.state()["failed"]) == [NEW.build_id]
    assert room.state()["last_result"]["outcome"] == "rolled_back"


def test_a_server_that_is_down(room: Room) -> None:
    """The old release does not register in that time either: nothing was learnt, and the build may be tried again."""
    launcher, _ = updated(room, NEW, deadline_s=1)
    launcher.next()
    settled(room, lambda state: state["last_result"]["outcome"] == "inconclusive")
    assert room.state()["failed"] == {}
    assert "nor did the release before it" in room.state()["last_result"]["reason"]
    assert launcher.stop() == 0


def test_a_release_that_spins(rooms: Callable[..., Room]) -> None:
    """One that ignores SIGTERM is killed after the grace."""
    launcher, _ = updated(rooms("grace_s=0.3"), Release("2.0.0", ({"spin": True},)), deadline_s=1)
    result = launcher.next()["launch"]["last_result"]
    assert result["reason"] == "was not registered within 1 s (ended by SIGKILL)"


def test_a_release_without_heartbeat(rooms: Callable[..., Room]) -> None:
    """Silence ends it, though it was registered: a crash, and the restart policy begins anew."""
    room = rooms("silence_s=0.5, grace_s=0.3")
    room.bake(OLD)
    launcher = room.start()
    old = launcher.next()
    old.says("registered")
    old.asked(deaf=True)
    assert launcher.ends() == 128 + signal.SIGKILL
    assert "gave no sign of life for 0.5 s" in launcher.log
    assert room.state()["crashes"] == 1


def test_heartbeats_keep_it(rooms: Callable[..., Room]) -> None:
    """Who is heard is left alone."""
    room = rooms("silence_s=0.6")
    room.bake(OLD)
    old = room.start().next()
    for _ in range(5):
        old.says("heartbeat")
        signal.sigtimedwait((), 0.25)
    assert old.says("heartbeat") == {"done": True}


def test_a_switch_that_is_not_left_in_time(rooms: Callable[..., Room]) -> None:
    """A release that does not end after its switch is ended; then the trial begins."""
    room = rooms("drain_s=0.3")
    launcher, old = started(room)
    room.store(NEW)
    assert old.asked(say={"say": "switch", **switch(NEW)}, lingers=True)["ok"]
    assert launcher.next()["version"] == "2.0.0"


def test_crashes_after_the_commit(room: Room) -> None:
    """Five abnormal ends without a registration: the release before it gets its turn."""
    launcher, new = updated(room, NEW)
    new.says("registered")
    settled(room, lambda state: state["trial"] is None)
    new.tell(exit=3)
    assert launcher.ends() == 3
    for crashes in range(2, 6):
        launcher = room.start()
        running = launcher.next()
        assert running["version"] == "2.0.0"
        running.tell(signal=int(signal.SIGSEGV))
        assert launcher.ends() == 128 + signal.SIGSEGV
        assert room.state()["crashes"] == crashes
    launcher = room.start()
    assert launcher.next()["version"] == "1.0.0"
    assert "ended abnormally 5 times" in launcher.log
    assert room.slots() == set()


def test_a_registration_forgives_crashes(room: Room) -> None:
    """They count only in a row."""
    launcher, old = started(room)
    old.tell(exit=1)
    assert launcher.ends() == 1
    assert room.state()["crashes"] == 1
    launcher = room.start()
    launcher.next().says("registered")
    settled(room, lambda state: state["crashes"] == 0)


@pytest.mark.parametrize("status", [0, 78])
def test_ends_that_are_no_crash(room: Room, status: int) -> None:
    """Stopped, or set up wrongly: the launcher ends with the same status and counts nothing."""
    launcher, old = started(room)
    old.tell(exit=status)
    assert launcher.ends() == status
    assert room.state()["crashes"] == 0


def test_a_stop_in_a_trial(room: Room) -> None:
    """It takes the attempt that was counted, and no more; the trial goes on at the next start."""
    launcher, _ = updated(room, NEW)
    assert launcher.stop() == 0
    trial = room.state()["trial"]
    assert (trial["attempts"], trial["last_error"]) == (1, "")
    assert room.start().next()["launch"]["running"]["on_trial"] is True
    assert room.state()["trial"]["attempts"] == 2


def test_a_second_update(room: Room) -> None:
    """The third release takes the first one's place on the disk, and falls back to the second."""
    launcher, new = updated(room, NEW)
    new.says("registered")
    third = room.store(Release("3.0.0"))
    assert new.says("switch", **switch(third, command_id="command-2"))["ok"]
    newest = launcher.next()
    assert newest["version"] == "3.0.0"
    newest.says("registered")
    settled(room, lambda state: state["active"] == third.build_id)
    assert room.state()["fallback"] == NEW.build_id
    assert launcher.stop() == 0
    assert room.slots() == {NEW.build_id, third.build_id}


def test_registered_once_more(room: Room) -> None:
    """A release that was kept and has asked for the next one keeps only itself, however often it registers."""
    launcher, new = updated(room, NEW)
    new.says("registered")
    settled(room, lambda state: state["trial"] is None)
    third = room.store(Release("3.0.0"))
    wanted = switch(third, command_id="command-2")
    assert new.asked(say={"say": "switch", **wanted}, lingers=True)["ok"]
    new.says("registered")
    assert new.says("switch", **wanted) == {"re": "switch", "ok": True}, "asked twice"
    assert room.state()["active"] == NEW.build_id
    assert room.state()["trial"]["build_id"] == third.build_id
    assert launcher.next()["version"] == "3.0.0"


def test_registered_too_late(room: Room) -> None:
    """Its time was over and it was told to end: what it says on its way out keeps it no more."""
    launcher, _ = updated(
        room, Release("2.0.0", ({"say_at_end": {"say": "registered"}},)), deadline_s=1
    )
    assert launcher.next()["version"] == "1.0.0"
    assert room.state()["active"] is None
    assert room.state()["last_result"]["outcome"] == "rolled_back"


def test_the_one_before_is_told_how_long_it_has(room: Room) -> None:
    """Registered later than that, it knows by itself that nothing was learnt about the other."""
    launcher, _ = updated(room, NEW, deadline_s=1)
    assert launcher.next()["launch"]["last_result"]["proof_s"] == 1
