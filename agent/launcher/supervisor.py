"""One life of a release: hears it, watches its deadlines, ends it, buries it."""

from __future__ import annotations

import signal
import time

from agent.launcher import watch
from agent.launcher.child import Child
from agent.launcher.ending import Ended
from agent.launcher.notify import Notifier
from agent.launcher.signals import Signals, bury
from agent.launcher.watch import Watch

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from typing import Protocol

    class Ears(Protocol):
        """What a release says, and what it means. Each answers whether it was heeded."""

        def registered(self) -> bool:
            """False: it could not be recorded; ask again."""

        def switch(self, message: dict[str, object]) -> bool:
            """Whether the release is to end for another one. The answer has been sent."""

        def reported(self, message: dict[str, object]) -> None: ...

        def unproven(self) -> None: ...


class Supervisor:
    """Args: a child that has just been started, its watch, and who hears what it says."""

    def __init__(
        self, child: Child, watch: Watch, ears: Ears, signals: Signals, notifier: Notifier
    ) -> None:
        self._child, self._watch, self._ears = child, watch, ears
        self._signals, self._notifier = signals, notifier
        self._is_recorded = False
        self._is_switching = False
        self._is_stopping = False
        self._is_stuck = False

    def run(self, *, on_trial: bool) -> Ended:
        """Until it has ended, or is not to be waited for any longer."""
        notify_at = 0.0
        status = None
        try:
            while status is None and not self._is_stuck:
                now_s = time.monotonic()
                if self._notifier.every_s is not None and now_s >= notify_at:
                    self._notifier.alive()
                    notify_at = now_s + self._notifier.every_s
                self._look(now_s)
                wake_at = self._watch.wakes_at()
                if self._notifier.every_s is not None:
                    wake_at = min(wake_at, notify_at)
                listening = (self._child.fileno(),) if self._child.is_open else ()
                self._signals.wait(wake_at - time.monotonic(), listening)
                status = bury(self._child.pid)
                self._hear()
        finally:
            if status is None:  # a defect of ours, or one that hangs: nothing may outlive it
                self._child.signal_group(signal.SIGKILL)
            self._child.close()
        return Ended(
            -signal.SIGKILL if status is None else status,
            on_trial=on_trial,
            is_registered=self._watch.is_registered,
            is_switching=self._is_switching,
            is_stopping=self._is_stopping,
            is_late=self._watch.is_late,
            is_stuck=status is None,
            why=self._watch.why,
        )

    def _look(self, now_s: float) -> None:
        if self._signals.is_stopping and not self._is_stopping:
            self._is_stopping = True
            self._notifier.stopping()
            self._act(self._watch.end(now_s, "was told to stop"))
        self._act(self._watch.look(now_s))

    def _act(self, action: str) -> None:
        match action:
            case watch.TERMINATE:
                self._child.signal_group(signal.SIGTERM)
            case watch.KILL:
                self._child.signal_group(signal.SIGKILL)
            case watch.GIVE_UP:
                self._is_stuck = True
            case watch.UNPROVEN:
                self._ears.unproven()

    def _hear(self) -> None:
        for message in self._child.messages():
            match message.get("say"):
                case "heartbeat":
                    self._watch.heard(time.monotonic())
                    if self._watch.is_registered and not self._is_recorded:
                        self._is_recorded = self._ears.registered()
                case "registered" if not self._watch.is_ending:
                    self._watch.registered()
                    self._is_recorded = self._ears.registered()
                case "switch":
                    if self._ears.switch(message) and not self._is_switching:
                        self._is_switching = True
                        self._watch.switching(time.monotonic())
                case "reported":
                    self._ears.reported(message)
