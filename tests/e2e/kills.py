"""The moments at which an update can be cut short, each with what leads there: for SIGKILL and power cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from e2e.faults import points

Way = Literal["good", "bad", "late"]
"""What leads to a moment: an update to a good release, to one that exits at its start, or to one that runs and never
registers. The last two are taken back, after three attempts and when its time is over."""

GOOD: Way = "good"
BAD: Way = "bad"
LATE: Way = "late"

GOOD_WRITES = (1, 3)
"""Of the launcher's state: on trial, and kept. The second counts the attempt, the fourth says that it was told."""

BAD_WRITES = (7,)
"""After three attempts the release is taken back. The launcher's own tests kill it within each of its writings."""

LIKE_ANOTHER = ("state.begun", "file.opened", "state.written")
"""To a disk without power these are like the point beside them: nothing became durable in between."""

AT_EACH_WRITE = (
    "state.begun",
    "file.opened",
    "file.written",
    "file.synced",
    "state.written",
    "state.kept",
    "state.renamed",
    "state.made_durable",
)
"""Within the writing of the launcher's state."""

LAUNCHER: Mapping[str, Way] = {
    "switch.asked": GOOD,
    "switch.verified": GOOD,
    "switch.recorded": GOOD,
    "switch.answered": GOOD,
    "trial.counted": GOOD,
    "start.cleaned": GOOD,
    "release.started": GOOD,
    "commit.begun": GOOD,
    "commit.recorded": GOOD,
    "attempt.recorded": BAD,
    "rollback.recorded": LATE,
}

ELSEWHERE = {
    "state.quarantined": "a damaged state is not on the way of an update",
    "spare.given_up": "takes a full disk",
    "spare.written": "before the first update, at the first write of all",
    "spare.renamed": "before the first update, at the first write of all",
    "staging.removed": "at the start after a kill, never on the way itself",
    "slot.removed": "after the second update only",
    "crash.recorded": "no part of an update",
    "release.downloaded": "a native host's way, not a container's",
    "slot.condemned": "takes a slot of the same build that a disk has damaged",
    "slot.removed_for_another": "takes a slot of the same build that a disk has damaged",
    "slot.given_up": "takes an update that is given up after its slot was made",
    "slot.set_aside": "takes an update that is given up after its slot was made",
    "install.begun": "the installer's, on a native host",
    "install.unpacked": "the installer's, on a native host",
    "install.synced": "the installer's, on a native host",
    "install.linked": "the installer's, on a native host",
    "install.replaced": "the installer's, on a native host",
    "install.made_durable": "the installer's, on a native host",
    "install.cleared": "the installer's, on a native host",
}
"""Points that no update here comes by, and why; the tests of launcher, slots and installer have them."""


def agent_points() -> set[str]:
    """Those of the agent itself, as opposed to the launcher's."""
    return points() - {*LAUNCHER, *AT_EACH_WRITE, *ELSEWHERE}


def rows() -> list[tuple[str, Way]]:
    """(point, way): every moment of an update. All points of the agent itself are on the good way."""
    table = [(point, GOOD) for point in sorted(agent_points())]
    table += list(LAUNCHER.items())
    for point in AT_EACH_WRITE:
        table += [(f"{point}:{nth}", GOOD) for nth in GOOD_WRITES]
        table += [(f"{point}:{nth}", BAD) for nth in BAD_WRITES]
    return table
