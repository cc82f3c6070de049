"""Signals as something that can be waited for, and the dead that have to be buried."""

from __future__ import annotations

import contextlib
import os
import select
import signal

STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """From its making on, SIGTERM, SIGINT, SIGHUP and SIGCHLD wake whoever waits here.

    Attributes:
        is_stopping: One of the first three has come.
    """

    def __init__(self) -> None:
        self._receiver, sender = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
        for number in (*STOP, signal.SIGCHLD):
            signal.signal(number, _heard)
        self.is_stopping = False

    def wait(self, timeout_s: float, others: tuple[int, ...] = ()) -> None:
        """Until a signal has come, one of the descriptors can be read, or the time is over."""
        poller = select.poll()
        for descriptor in (self._receiver, *others):
            poller.register(descriptor, select.POLLIN)
        poller.poll(max(0, int(timeout_s * 1000) + 1))
        try:
            while numbers := os.read(self._receiver, 64):
                self.is_stopping |= any(number in numbers for number in STOP)
        except BlockingIOError:
            pass


def bury(pid: int) -> int | None:
    """Reaps all children that have ended, orphans that PID 1 inherits among them.

    Returns:
        How the process `pid` ended: its status, or below zero the signal. None: it has not.
    """
    status = None
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return status
        if dead is None:
            return status
        if dead.si_pid == pid:
            # While its leader is not reaped, nobody else can be given the number of its group.
            _end_group(pid)
        _, code = os.waitpid(dead.si_pid, 0)
        if dead.si_pid == pid:
            status = os.waitstatus_to_exitcode(code)


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _heard(*_: object) -> None:
    """The wakeup descriptor has told it."""
