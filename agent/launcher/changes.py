"""How the state moves on: pure steps, each of which is written before it is acted upon."""

from __future__ import annotations

from agent.launcher.state import MAX_FAILED, MAX_TEXT, Failure, Result, State, Trial
from agent.launcher.verdict import Verdict


def to_trial(state: State, trial: Trial) -> State:
    """A switch was accepted."""
    return state.but(trial=trial)


def counted(state: State) -> State:
    """The trial is about to be started once more."""
    trial = _trial(state)
    return state.but(trial=trial.but(attempts=trial.attempts + 1))


def attempt_failed(state: State, error: str) -> State:
    """That attempt has ended before the release was registered."""
    return state.but(trial=_trial(state).but(last_error=error[:MAX_TEXT]))


def committed(state: State, new: Verdict, old: Verdict) -> State:
    """The release on trial was registered: it stays. The old one stays as fallback if it can read the new data."""
    trial = _trial(state)
    if new.build_id != trial.build_id:
        raise AssertionError("only the release on trial is kept, and that is another one")
    failed = {b: f for b, f in state.failed.items() if b != trial.build_id}
    return state.but(
        active=trial.build_id,
        fallback=state.active if new.writes in old.reads else None,
        trial=None,
        crashes=0,
        failed=failed,
        security_floor=max(state.security_floor, new.security_floor),
        last_result=_result(trial, "updated", ""),
    )


def rolled_back(state: State, reason: str, at: str) -> State:
    """The release on trial is given up. `at` is UTC, ISO 8601."""
    trial = _trial(state)
    failure = Failure(reason[:MAX_TEXT], at, trial.attempts, trial.command_id)
    return state.but(
        trial=None,
        failed=_with_failure(state, trial.build_id, failure),
        last_result=_result(trial, "rolled_back", reason),
    )


def inconclusive(state: State, build_id: str) -> State:
    """The old release did not get through to the server either: nothing was learnt about the new one."""
    result = state.last_result
    if result is None or result.outcome != "rolled_back" or result.reported:
        return state
    return state.but(
        failed={b: f for b, f in state.failed.items() if b != build_id},
        last_result=result.but(
            outcome="inconclusive",
            reason=f"{result.reason}; nor did the release before it register in that time"[
                :MAX_TEXT
            ],
        ),
    )


def registered(state: State, running: Verdict) -> State:
    """A release that is not on trial has proved itself again."""
    floor = max(state.security_floor, running.security_floor)
    return state.but(crashes=0, security_floor=floor)


def crashed(state: State) -> State:
    """A release that is not on trial has ended abnormally."""
    return state.but(crashes=state.crashes + 1)


def reported(state: State, command_id: str) -> State:
    """The server knows the last result."""
    result = state.last_result
    if result is None or result.command_id != command_id:
        return state
    return state.but(last_result=result.but(reported=True))


def image_changed(state: State, baked: Verdict) -> State:
    """The operator brought another image: its release wins, and the slots are forgotten."""
    result = state.last_result
    if state.trial:
        why = f"the image was changed meanwhile, and its release {baked.version} runs"
        result = _result(state.trial, "rolled_back", why)
    return state.but(
        active=None,
        fallback=None,
        trial=None,
        crashes=0,
        baked_seen=baked.build_id,
        last_result=result,
    )


def slot_given_up(state: State, reason: str, at: str) -> State:
    """The active slot is no longer to be run: the fallback takes its place."""
    failed = state.failed
    if state.active:
        failure = Failure(reason[:MAX_TEXT], at, 0, "")
        failed = _with_failure(state, state.active, failure)
    return state.but(active=state.fallback, fallback=None, crashes=0, failed=failed)


def _trial(state: State) -> Trial:
    if state.trial is None:
        raise AssertionError("only what is on trial can be counted, kept or given up")
    return state.trial


def _result(trial: Trial, outcome: str, reason: str) -> Result:
    return Result(trial.command_id, trial.command, trial.version, outcome, reason[:MAX_TEXT])


def _with_failure(state: State, build_id: str, failure: Failure) -> dict[str, Failure]:
    failed = {**state.failed, build_id: failure}
    while len(failed) > MAX_FAILED:
        del failed[min(failed, key=lambda b: failed[b].at)]
    return failed
