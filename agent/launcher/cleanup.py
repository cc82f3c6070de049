"""Removes from the update directory what nothing refers to."""

from __future__ import annotations

import os

from agent.faults import fault
from agent.launcher.state import State

SLOTS = "slots"
STAGING = "staging"
_TEMPORARY = ("state.json.tmp", "state.json.1.tmp", "spare.tmp")


def at_start(directory: str, state: State) -> list[str]:
    """Before a release runs: whatever was under way is no longer. Returns what could not be removed, and why."""
    notes = []
    for name in _TEMPORARY:
        notes += _remove(os.path.join(directory, name))
    for name in _names(os.path.join(directory, STAGING)):
        notes += _remove(os.path.join(directory, STAGING, name))
        fault("staging.removed")
    return notes + slots(directory, set(_names(os.path.join(directory, SLOTS))) - state.slots)


def slots(directory: str, names: set[str]) -> list[str]:
    """These slots: while a release runs, there may be others that the state does not name yet."""
    notes = []
    for name in sorted(names):
        notes += _remove(os.path.join(directory, SLOTS, name))
        fault("slot.removed")
    return notes


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _remove(path: str) -> list[str]:
    """Removes a file, or a directory with all in it; follows no link."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            os.chmod(path, 0o700)
            for name in os.listdir(path):
                if left := _remove(os.path.join(path, name)):
                    return left
            os.rmdir(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"{path} cannot be removed: {error.strerror}; remove it by hand"]
    return []
