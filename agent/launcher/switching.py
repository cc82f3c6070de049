"""Whether a release may be put on trial, as the running one asks."""

from __future__ import annotations

from agent.launcher.choice import is_above_floor
from agent.launcher.record import Record
from agent.launcher.state import State, Trial
from agent.launcher.verdict import Verdict

MAX_DEADLINE_S = 3600
COMMANDS = ("self_update", "update_container")
_HEX = frozenset("0123456789abcdef")


class Switch(Record):
    """A request for another release, once its fields have been found to be what they have to be."""

    build_id: str
    version: str
    command_id: str
    command: str
    deadline_s: int
    needs_engine: bool


def parse(message: dict[str, object]) -> Switch | str:
    """The request in a `switch` message, or what is wrong with it."""
    build_id, command = message.get("build_id"), message.get("command")
    version, command_id = message.get("version"), message.get("command_id")
    deadline_s, needs_engine = message.get("deadline_s"), message.get("needs_engine")
    if not isinstance(build_id, str) or len(build_id) != 64 or not _HEX.issuperset(build_id):
        return "build_id has to be 64 hex digits"
    if not isinstance(version, str) or not 0 < len(version) <= 100:
        return "version has to be a text of at most 100 characters"
    if not isinstance(command_id, str) or not 0 < len(command_id) <= 200:
        return "command_id has to be a text of at most 200 characters"
    if not isinstance(command, str) or command not in COMMANDS:
        return f"command has to be one of {', '.join(COMMANDS)}"
    if type(deadline_s) is not int or not 1 <= deadline_s <= MAX_DEADLINE_S:
        return f"deadline_s has to be whole seconds, at most {MAX_DEADLINE_S}"
    if not isinstance(needs_engine, bool):
        return "needs_engine has to be true or false"
    return Switch(build_id, version, command_id, command, deadline_s, needs_engine)


def obstacle(state: State, running: Verdict, *, on_trial: bool, switch: Switch) -> str:
    """What stands in the way whatever the new release is like; "" if nothing does."""
    if on_trial:
        return "the running release is itself on trial; wait until it has registered"
    if state.trial and state.trial.command_id != switch.command_id:
        return "another update is under way"
    if switch.build_id == running.build_id:
        return "this release runs already"
    failure = state.failed.get(switch.build_id)
    if failure and failure.command_id == switch.command_id:
        return f"it was tried for this command and failed: {failure.reason}; give a new command to try again"
    return ""


def objection(state: State, running: Verdict, new: Verdict, switch: Switch) -> str:
    """Why that release is not put on trial; "" if it is."""
    if new.why:
        return new.why
    if new.version != switch.version:
        return f"it is version {new.version}, not {switch.version}"
    if not is_above_floor(state, new):
        return "it is older than the security floor of a release that ran here before"
    if running.writes and running.writes not in new.reads:
        return f"it cannot read the data of the running release (schema {running.writes})"
    return ""


def trial_of(state: State, switch: Switch) -> Trial:
    """The trial that it begins."""
    return Trial(
        build_id=switch.build_id,
        version=switch.version,
        command_id=switch.command_id,
        command=switch.command,
        deadline_s=switch.deadline_s,
        needs_engine=switch.needs_engine,
        from_build=state.active,
    )
