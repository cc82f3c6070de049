"""What a release says while it runs, and what is written down for it."""

from __future__ import annotations

from agent.faults import fault
from agent.launcher import changes, cleanup, switching
from agent.launcher.child import Child
from agent.launcher.choice import Decision
from agent.launcher.chooser import Chooser
from agent.launcher.say import Voice, now
from agent.launcher.volume import Volume

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from agent.launcher.state import State, Trial


class Life:
    """The ears of the supervisor, for one start of one release.

    Args:
        late: The trial that was taken back for being late just before this start; None: there was none.
    """

    def __init__(
        self,
        child: Child,
        decision: Decision,
        chooser: Chooser,
        volume: Volume,
        voice: Voice,
        late: Trial | None,
    ) -> None:
        self._child, self._decision = child, decision
        self._chooser, self._volume, self._voice = chooser, volume, voice
        self._late = late

    def registered(self) -> bool:
        """The server has acknowledged it: a release on trial is kept. False: that could not be written down yet."""
        state, running = self._volume.state, self._decision.verdict
        if self._volume.directory is None:
            return True
        if not self._is_on_trial:
            return self._volume.save(changes.registered(state, running))
        fault("commit.begun")
        old = self._chooser.verdict(state.active)
        if not self._volume.save(changes.committed(state, running, old)):
            return False
        fault("commit.recorded")
        self._voice.info(f"release {running.version} is registered and stays")
        for note in cleanup.slots(self._volume.directory, state.slots - self._volume.state.slots):
            self._voice.warn(note)
        return True

    def switch(self, message: dict[str, object]) -> bool:
        """Puts another release on trial, or answers why not."""
        fault("switch.asked")
        why = self._refused(message)
        if why:
            self._voice.warn(f"no switch to release {message.get('version')!s:.100}: {why}")
            self._child.say({"re": "switch", "ok": False, "why": why})
            return False
        fault("switch.recorded")
        self._child.say({"re": "switch", "ok": True})
        fault("switch.answered")
        return True

    def _refused(self, message: dict[str, object]) -> str:
        """Why the switch was not recorded; "" if it was."""
        switch = switching.parse(message)
        if isinstance(switch, str):
            return switch
        if self._volume.directory is None:
            return self._volume.why
        before, running = self._volume.state, self._decision.verdict
        state = self._without_stranded(switch)
        if why := switching.obstacle(state, running, on_trial=self._is_on_trial, switch=switch):
            return why
        if state.trial and state.trial.build_id == switch.build_id:
            return ""  # asked twice
        self._chooser.forget()
        new = self._chooser.verdict(switch.build_id)
        if why := switching.objection(state, running, new, switch):
            return why
        fault("switch.verified")
        if self._volume.save(changes.to_trial(state, switching.trial_of(state, switch))):
            return ""
        self._volume.state = before
        return "it could not be written down; free some space on the volume"

    def _without_stranded(self, switch: switching.Switch) -> State:
        """The state, without a trial that could not be counted when this life began: another command takes its turn."""
        state, stranded = self._volume.state, self._decision.state.trial
        is_stranded = not self._decision.on_trial and state.trial == stranded
        if stranded is None or not is_stranded or stranded.command_id == switch.command_id:
            return state
        return changes.rolled_back(
            state, "its attempts could not be counted: the disk was full", now()
        )

    @property
    def _is_on_trial(self) -> bool:
        # Once it was kept, the trial that is written down is that of the release it has asked for.
        trial, running = self._volume.state.trial, self._decision.verdict
        return self._decision.on_trial and trial is not None and trial.build_id == running.build_id

    def reported(self, message: dict[str, object]) -> None:
        """The server knows how the last update went."""
        command_id, state = message.get("command_id"), self._volume.state
        if isinstance(command_id, str) and self._volume.directory is not None:
            self._volume.save(changes.reported(state, command_id))

    def unproven(self) -> None:
        """The old release has not got through either, in the time that the new one had."""
        if self._late is None or self._volume.directory is None:
            return
        self._voice.warn(
            "this release is not registered either: nothing was learnt about the new one"
        )
        self._volume.save(changes.inconclusive(self._volume.state, self._late.build_id))
