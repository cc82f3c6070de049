"""A launcher that is killed at any moment: the next one starts a release that verifies, and ends what was begun."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from launcher.machine_room import REPOSITORY, Gone, Launcher, Room, Running, filled, settled, switch
from launcher.releases import Release

pytestmark = pytest.mark.real_time

OLD = Release("1.0.0")
NEW = Release("2.0.0")
BAD = Release("2.0.0", ({"exit": 3},))

ONE, TWO = OLD.version, NEW.version

UPDATE = [
    # The first start: what is left over is removed, the image's release is noted, the ballast made.
    ("state.begun", 1, ONE),
    ("file.opened", 1, ONE),
    ("file.written", 1, ONE),
    ("file.synced", 1, ONE),
    ("state.written", 1, ONE),
    ("state.kept", 1, ONE),
    ("state.renamed", 1, ONE),
    ("state.made_durable", 1, ONE),
    ("file.opened", 2, ONE),
    ("file.written", 2, ONE),
    ("file.synced", 2, ONE),
    ("spare.written", 1, ONE),
    ("spare.renamed", 1, ONE),
    ("staging.removed", 1, ONE),
    ("slot.removed", 1, ONE),
    ("start.cleaned", 1, ONE),
    ("release.started", 1, ONE),
    # The switch: until the rename it did not happen.
    ("switch.asked", 1, ONE),
    ("switch.verified", 1, ONE),
    ("state.begun", 2, ONE),
    ("file.opened", 3, ONE),
    ("file.written", 3, ONE),
    ("file.synced", 3, ONE),
    ("state.written", 2, ONE),
    ("state.kept", 2, ONE),
    ("state.renamed", 2, TWO),
    ("state.made_durable", 2, TWO),
    ("switch.recorded", 1, TWO),
    ("switch.answered", 1, TWO),
    # The attempt is counted before it is made.
    ("state.begun", 3, TWO),
    ("file.opened", 4, TWO),
    ("file.written", 4, TWO),
    ("file.synced", 4, TWO),
    ("state.written", 3, TWO),
    ("state.kept", 3, TWO),
    ("state.renamed", 3, TWO),
    ("state.made_durable", 3, TWO),
    ("trial.counted", 1, TWO),
    ("start.cleaned", 2, TWO),
    ("release.started", 2, TWO),
    # The commit: a trial that registered and was not written down is tried once more.
    ("commit.begun", 1, TWO),
    ("state.begun", 4, TWO),
    ("file.opened", 5, TWO),
    ("file.written", 5, TWO),
    ("file.synced", 5, TWO),
    ("state.written", 4, TWO),
    ("state.kept", 4, TWO),
    ("state.renamed", 4, TWO),
    ("state.made_durable", 4, TWO),
    ("commit.recorded", 1, TWO),
    # The server knows it.
    ("state.begun", 5, TWO),
    ("state.kept", 5, TWO),
    ("state.renamed", 5, TWO),
]
"""Moment, its how manieth time, and the release that the next launcher starts."""

ROLLBACK = [
    ("trial.counted", 1),
    ("state.begun", 4),
    ("state.renamed", 4),
    ("attempt.recorded", 1),
    ("trial.counted", 2),
    ("attempt.recorded", 2),
    ("trial.counted", 3),
    ("attempt.recorded", 3),
    ("state.begun", 7),
    ("file.opened", 8),
    ("file.written", 8),
    ("file.synced", 8),
    ("state.written", 7),
    ("state.kept", 7),
    ("state.renamed", 7),
    ("state.made_durable", 7),
    ("slot.removed", 1),
]

LATE = [("state.begun", 4), ("state.kept", 4), ("state.renamed", 4), ("rollback.recorded", 1)]

CRASH = [("state.begun", 2), ("state.kept", 2), ("state.renamed", 2), ("crash.recorded", 1)]

ELSEWHERE = {"state.quarantined", "spare.given_up"}
"""Moments with a test of their own below."""


def moments() -> set[str]:
    """All that are marked in the launcher."""
    sources = (REPOSITORY / "agent" / "launcher").rglob("*.py")
    return {name for path in sources for name in re.findall(r'fault\("(.+?)"\)', path.read_text())}


def test_every_moment_has_a_row() -> None:
    """A new write or effect is marked, and somebody is killed there."""
    rows = {row[0] for table in (UPDATE, ROLLBACK, LATE, CRASH) for row in table}
    assert rows | ELSEWHERE == moments()


def killed(room: Room, story: Callable[[Room, Launcher], None], moment: str, nth: int) -> None:
    """Runs the story with a launcher that is killed at that moment."""
    launcher = room.start(FAULT_AT=f"{moment}:{nth}", FAULT_DO="kill")
    with pytest.raises(Gone):
        story(room, launcher)
    assert launcher.ends() == -signal.SIGKILL
    assert (room.path / moment).exists()


def ended(launcher: Launcher) -> None:
    launcher.ends()
    raise Gone


def registered_old(room: Room, launcher: Launcher) -> Running:
    old = launcher.next()
    old.says("registered")
    return old


def update(room: Room, launcher: Launcher) -> None:
    old = registered_old(room, launcher)
    room.store(NEW)
    old.says("switch", **switch(NEW))
    new = launcher.next()
    new.says("registered")
    new.says("reported", command_id="command-1")
    ended(launcher)


def bad_update(room: Room, launcher: Launcher) -> None:
    old = registered_old(room, launcher)
    room.store(BAD)
    old.says("switch", **switch(BAD))
    for _ in range(4):
        launcher.next()
    ended(launcher)


def late_update(room: Room, launcher: Launcher) -> None:
    old = registered_old(room, launcher)
    room.store(NEW)
    old.says("switch", **switch(NEW, deadline_s=1))
    launcher.next()
    ended(launcher)


def crash(room: Room, launcher: Launcher) -> None:
    registered_old(room, launcher).tell(exit=3)
    ended(launcher)


@pytest.mark.parametrize(("moment", "nth", "version"), UPDATE)
def test_killed_in_an_update(room: Room, moment: str, nth: int, version: str) -> None:
    """The old release before the switch was written, the new one after; the update then succeeds, nothing is left."""
    room.bake(OLD)
    room.store(Release("0.1.0"))
    (room.update / "staging" / "half").mkdir(parents=True)
    killed(room, update, moment, nth)

    launcher = room.start()
    running = launcher.next()
    assert running["version"] == version
    if version == ONE:
        assert running["launch"]["last_result"] is None
        room.store(NEW)
        assert running.says("switch", **switch(NEW))["ok"]
        running = launcher.next()
    running.says("registered")
    settled(room, lambda state: state["active"] == NEW.build_id)
    assert launcher.stop() == 0
    assert room.left_over() == []
    assert room.slots() == {NEW.build_id}
    assert room.state()["last_result"]["outcome"] == "updated"


@pytest.mark.parametrize(("moment", "nth"), ROLLBACK)
def test_killed_in_a_rollback(room: Room, moment: str, nth: int) -> None:
    """No attempt is lost or made twice without being counted; the old release comes back in any case."""
    room.bake(OLD)
    killed(room, bad_update, moment, nth)

    launcher = room.start()
    running = launcher.next()
    attempts = 0
    while running["version"] == BAD.version:
        attempts += 1
        running = launcher.next()
    assert attempts <= 3
    assert running["launch"]["last_result"]["outcome"] == "rolled_back"
    assert launcher.stop() == 0
    assert list(room.state()["failed"]) == [BAD.build_id]
    assert room.left_over() == []
    assert room.slots() == set()


@pytest.mark.parametrize(("moment", "nth"), LATE)
def test_killed_after_a_deadline(room: Room, moment: str, nth: int) -> None:
    """Before it is written that the release was late, it gets another attempt; after that, the old one runs."""
    room.bake(OLD)
    killed(room, late_update, moment, nth)

    launcher = room.start()
    running = launcher.next()
    if moment in ("state.begun", "state.kept"):
        assert running["launch"]["running"]["on_trial"] is True
        running = launcher.next()
    assert running["version"] == ONE
    assert running["launch"]["last_result"]["outcome"] == "rolled_back"
    assert launcher.stop() == 0
    assert room.left_over() == []


@pytest.mark.parametrize(("moment", "nth"), CRASH)
def test_killed_while_counting_a_crash(room: Room, moment: str, nth: int) -> None:
    """A crash is counted, or was not one; the same release runs."""
    room.bake(OLD)
    killed(room, crash, moment, nth)
    assert room.start().next()["version"] == ONE
    assert room.state()["crashes"] == (moment in ("state.renamed", "crash.recorded"))


def test_killed_in_a_quarantine(room: Room) -> None:
    """A torn state was moved aside, and the previous one serves the next launcher as well."""
    room.bake(OLD)
    launcher = room.start()
    old = registered_old(room, launcher)
    room.store(NEW)
    old.says("switch", **switch(NEW))
    launcher.next().says("registered")
    settled(room, lambda state: state["active"] == NEW.build_id)
    launcher.stop()
    (room.update / "state.json").write_bytes(b"{")
    killed(room, lambda _, launcher: ended(launcher), "state.quarantined", 1)
    assert room.start().next()["version"] == TWO


@pytest.fixture
def small_disk(room: Room) -> Iterator[Path]:
    room.update.mkdir()
    line = ("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(room.update))
    subprocess.run(line, check=True)
    yield room.update
    room.close()
    subprocess.run(("umount", "-l", str(room.update)), check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_killed_without_ballast(room: Room, small_disk: Path) -> None:
    """On a full disk the ballast is gone and the switch not yet written: the next launcher has the room for it."""
    room.bake(OLD)

    def story(room: Room, launcher: Launcher) -> None:
        old = registered_old(room, launcher)
        room.store(NEW)
        filled(small_disk)
        old.says("switch", **switch(NEW))

    killed(room, story, "spare.given_up", 1)
    old = room.start().next()
    assert old["version"] == ONE
    room.store(NEW)
    assert old.says("switch", **switch(NEW))["ok"]
