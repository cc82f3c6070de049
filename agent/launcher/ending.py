"""What follows the end of a release: pure, as everything that decides."""

from __future__ import annotations

import signal

from agent.launcher.record import Record

CONFIG = 78
"""EX_CONFIG: a setting is missing or bad, so that a restart changes nothing."""

EXIT, AGAIN, ATTEMPT_FAILED, ROLL_BACK, CRASH = "exit", "again", "failed", "roll back", "crash"
"""EXIT: the launcher ends as well. AGAIN: choose and start. ATTEMPT_FAILED, ROLL_BACK: of a trial, then choose and
start. CRASH: is counted, then the launcher ends as well."""


class Ended(Record):
    """How a life ended.

    Attributes:
        status: Exit status; below zero, the signal that ended it.
        why: Why the launcher ended it; "" if it ended by itself.
        is_late: It was ended because it had not registered in its trial's time.
        is_stopping: The launcher itself was told to stop.
        is_stuck: It is still there after SIGKILL, and was waited for long enough. It will never run a line of its own
            again, so that another may be started.
    """

    status: int
    on_trial: bool
    is_registered: bool = False
    is_switching: bool = False
    is_stopping: bool = False
    is_late: bool = False
    is_stuck: bool = False
    why: str = ""


def follows(ended: Ended) -> tuple[str, int]:
    """What is to be done, and the launcher's own status if it ends."""
    if ended.is_stopping:
        return EXIT, _exit_status(ended.status)
    if ended.on_trial and not ended.is_registered:
        return (ROLL_BACK if ended.is_late else ATTEMPT_FAILED), 0
    if ended.is_switching:
        return AGAIN, 0
    if ended.status in (0, CONFIG) and not ended.why:
        return EXIT, ended.status
    return CRASH, _exit_status(ended.status) or 1


def said(ended: Ended) -> str:
    """The same for people, to follow after "the release" or "the last one"."""
    if ended.is_stuck:
        return (
            f"{ended.why}; it was killed and is not gone, for it hangs in the kernel: a disk or mount that it "
            "uses does not answer (`dmesg` may say which); mend that, or restart the host"
        )
    how = f"exited with {ended.status}" if ended.status >= 0 else f"ended by {_name(-ended.status)}"
    return f"{ended.why} ({how})" if ended.why else how


def _exit_status(status: int) -> int:
    return status if status >= 0 else 128 - status


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
