"""Life after life: has a release chosen, starts it, and remembers how it ended."""

from __future__ import annotations

from time import monotonic

from agent.faults import fault
from agent.launcher import LAUNCHER_API, changes, cleanup, ending, root_keys
from agent.launcher.child import Child
from agent.launcher.choice import Decision
from agent.launcher.chooser import Chooser
from agent.launcher.ending import Ended
from agent.launcher.installation import Installation
from agent.launcher.life import Life
from agent.launcher.notify import Notifier
from agent.launcher.say import Voice, now
from agent.launcher.signals import Signals
from agent.launcher.supervisor import Supervisor
from agent.launcher.volume import Volume
from agent.launcher.watch import Limits, Watch

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.launcher.state import Trial

CANNOT_START = 127


class Keeper:
    """Runs releases until the launcher is to end.

    Args:
        volume: Ours, or not usable.
    """

    def __init__(
        self,
        places: Installation,
        environ: Mapping[str, str],
        volume: Volume,
        *,
        voice: Voice,
        signals: Signals,
        notifier: Notifier,
        limits: Limits,
    ) -> None:
        self._environ, self._volume = environ, volume
        self._voice, self._signals, self._notifier = voice, signals, notifier
        self._limits = limits
        self._chooser = Chooser(places, volume)
        keys, notes = root_keys.load(places.keys)
        self._root_keys, self._keys_dir = len(keys), places.keys
        self._warn(notes)

    def run(self) -> int:
        """The launcher's exit status."""
        late: Trial | None = None
        while not self._signals.is_stopping:
            decision = self._chosen()
            self._clean()
            ended = self._lived(decision, late)
            action, status = ending.follows(ended)
            late = self._volume.state.trial if action == ending.ROLL_BACK else None
            self._remember(decision, ended, action)
            if action in (ending.EXIT, ending.CRASH):
                return status
            self._chooser.forget()
        return 0

    def _chosen(self) -> Decision:
        """The decision, written down. An attempt that cannot be counted is not made."""
        before = self._volume.state
        decision = self._chooser.decide()
        is_saved = self._volume.save(decision.state)
        if not is_saved and (decision.on_trial or self._volume.directory is None):
            self._volume.state = before
            decision = self._chooser.decide(can_count=False)
        if decision.on_trial:
            fault("trial.counted")
        self._warn(decision.notes)
        return decision

    def _clean(self) -> None:
        if self._volume.directory is not None and self._volume.is_saved:
            self._warn(cleanup.at_start(self._volume.directory, self._volume.state))
            fault("start.cleaned")

    def _lived(self, decision: Decision, late: Trial | None) -> Ended:
        trial = self._volume.state.trial if decision.on_trial else None
        kind = "on trial" if trial else "of the image" if decision.slot is None else "installed"
        text = f"release {decision.verdict.version or 'unknown'} ({kind}) starts"
        self._voice.info(text)
        self._notifier.status(text)
        try:
            child = Child(
                self._chooser.directory(decision.slot), self._environ, self._launch(decision, late)
            )
        except OSError as error:
            why = f"could not be started: {error.strerror}"
            return Ended(CANNOT_START, on_trial=decision.on_trial, why=why)
        fault("release.started")
        self._notifier.ready()
        watch = Watch(
            self._limits,
            monotonic(),
            trial_s=trial.deadline_s if trial else None,
            proof_s=late.deadline_s if late else None,
        )
        life = Life(child, decision, self._chooser, self._volume, self._voice, late)
        supervisor = Supervisor(child, watch, life, self._signals, self._notifier)
        return supervisor.run(on_trial=decision.on_trial)

    def _remember(self, decision: Decision, ended: Ended, action: str) -> None:
        said = f"release {decision.verdict.version} {ending.said(ended)}"
        state = self._volume.state
        match action:
            case ending.CRASH:
                self._voice.warn(said)
                self._volume.save(changes.crashed(state))
                fault("crash.recorded")
            case ending.ATTEMPT_FAILED if state.trial:
                self._voice.warn(f"{said}, before it was registered")
                self._volume.save(changes.attempt_failed(state, ending.said(ended)))
                fault("attempt.recorded")
            case ending.ROLL_BACK if state.trial:
                self._voice.warn(f"{said}; it is taken back")
                self._volume.save(changes.rolled_back(state, ending.said(ended), now()))
                fault("rollback.recorded")
            case _:
                self._voice.info(said)

    def _launch(self, decision: Decision, late: Trial | None) -> object:
        """What the release is told, DOCKMON_AGENT_LAUNCH."""
        verdict, baked = decision.verdict, self._chooser.verdict(None)
        trial, result = self._volume.state.trial, self._volume.state.last_result
        told = None
        if result and not result.reported:
            told = {name: value for name, value in result.__dict__.items() if name != "reported"}
            told["proof_s"] = late.deadline_s if late else None
        return {
            "launcher_api": LAUNCHER_API,
            "running": {
                "build_id": verdict.build_id,
                "version": verdict.version,
                "source": "baked" if decision.slot is None else "slot",
                "on_trial": decision.on_trial,
            },
            "baked": {"build_id": baked.build_id, "version": baked.version},
            "update_dir": self._volume.directory,
            "why_no_updates": self._volume.why,
            "root_keys": self._root_keys,
            "keys_dir": self._keys_dir,
            "security_floor": max(self._volume.state.security_floor, verdict.security_floor),
            "trial": {
                "command_id": trial.command_id,
                "command": trial.command,
                "needs_engine": trial.needs_engine,
            }
            if trial and decision.on_trial
            else None,
            "last_result": told,
        }

    def _warn(self, notes: list[str] | tuple[str, ...]) -> None:
        for note in notes:
            self._voice.warn(note)
