"""Which release is to be started, out of what is remembered and what is on the disk."""

from __future__ import annotations

from agent.launcher import changes
from agent.launcher.record import Record
from agent.launcher.state import State
from agent.launcher.verdict import Verdict

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CRASHES = 5
"""Abnormal ends with no registration in between, after which the release before it gets its turn."""


class World(Record):
    """What there is to choose from.

    Attributes:
        baked: What was found out about the release of the image.
        slot: The same for a build_id on the volume. Asked only for those that may be run.
        ignore_slots: The operator wants the baked release.
        can_count: Whether the state can be written; if not, a trial has to wait.
        at: Now, UTC, ISO 8601, for the records.
    """

    baked: Verdict
    slot: Callable[[str], Verdict]
    ignore_slots: bool = False
    can_count: bool = True
    at: str = ""


class Decision(Record):
    """What to start, after `state` has been written.

    Attributes:
        slot: Its build_id; None: the baked release.
        verdict: What was found out about it. Only the baked release is started although it does not verify.
        notes: What the operator should know.
    """

    slot: str | None
    verdict: Verdict
    state: State
    on_trial: bool = False
    notes: tuple[str, ...] = ()


def decide(state: State, world: World) -> Decision:
    """The release to start.

    Deciding again on the state that comes of it chooses the same and changes nothing, but for a trial's attempts.
    """
    if world.ignore_slots:
        return Decision(None, world.baked, state, notes=_of_baked(world))
    notes: list[str] = []
    state = _heed_image(state, world, notes)
    if state.trial and (started := _trial(state, world, notes)):
        return started
    if state.trial and world.can_count:
        state = _give_up_trial(state, world, notes)
    return _committed(state, world, notes)


def is_above_floor(state: State, verdict: Verdict) -> bool:
    """Whether it is not older than what security demands."""
    return verdict.security_floor >= state.security_floor


def _heed_image(state: State, world: World, notes: list[str]) -> State:
    baked = world.baked
    if not baked.is_good or baked.build_id == state.baked_seen:
        return state
    if not is_above_floor(state, baked) and state.active:
        notes.append(
            f"the image's release {baked.version} is below the security floor of one that ran here before; "
            "the installed one goes on. Use a newer image, or AGENT_IGNORE_SLOTS=1 to run it all the same"
        )
        return state
    if state.active or state.trial:
        notes.append(
            f"the image was changed: its release {baked.version} runs, installed ones are removed"
        )
    return changes.image_changed(state, baked)


def _trial(state: State, world: World, notes: list[str]) -> Decision | None:
    """The next attempt, if there is to be one. A trial that cannot be counted is not started, but stays."""
    assert state.trial is not None
    trial = state.trial
    if not world.can_count:
        notes.append(
            f"the trial of release {trial.version} waits until its attempts can be counted: free space on the volume"
        )
        return None
    if trial.attempts >= trial.max_attempts or _fault_of_trial(state, world):
        return None
    verdict = world.slot(trial.build_id)
    return Decision(trial.build_id, verdict, changes.counted(state), True, tuple(notes))


def _fault_of_trial(state: State, world: World) -> str:
    assert state.trial is not None
    verdict = world.slot(state.trial.build_id)
    if verdict.is_good and not is_above_floor(state, verdict):
        return "it is below the security floor"
    return verdict.why


def _give_up_trial(state: State, world: World, notes: list[str]) -> State:
    assert state.trial is not None
    trial = state.trial
    if trial.attempts >= trial.max_attempts:
        reason = f"not registered in {trial.attempts} attempts"
        if trial.last_error:
            reason += f"; the last one {trial.last_error}"
    else:
        reason = f"the installed release does not verify: {_fault_of_trial(state, world)}"
    notes.append(f"release {trial.version} is taken back: {reason}")
    return changes.rolled_back(state, reason, world.at)


def _committed(state: State, world: World, notes: list[str]) -> Decision:
    if state.active and state.crashes >= MAX_CRASHES:
        reason = f"it ended abnormally {state.crashes} times without being registered"
        notes.append(f"release {_short(state.active)} is given up: {reason}")
        state = changes.slot_given_up(state, reason, world.at)
    while state.active:
        verdict = world.slot(state.active)
        if verdict.is_good and is_above_floor(state, verdict):
            return Decision(state.active, verdict, state, notes=tuple(notes))
        why = verdict.why or "it is below the security floor"
        notes.append(f"the installed release {_short(state.active)} is not run: {why}")
        state = changes.slot_given_up(state, why, world.at)
    if not is_above_floor(state, world.baked):
        notes.append(
            f"the image's release {world.baked.version} is below the security floor of one that ran here before, "
            "and there is no other: use a newer image"
        )
    if world.baked.is_good and world.baked.build_id != state.baked_seen:
        state = changes.image_changed(state, world.baked)
    return Decision(None, world.baked, state, notes=(*notes, *_of_baked(world)))


def _of_baked(world: World) -> tuple[str, ...]:
    if world.baked.is_good:
        return ()
    return (f"the image's own release is damaged, and runs as the last resort: {world.baked.why}",)


def _short(build_id: str) -> str:
    return build_id[:12]
