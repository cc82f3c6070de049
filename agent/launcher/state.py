"""What the launcher remembers: the record, and how it is written as state.json."""

from __future__ import annotations

import binascii

from agent.launcher.record import Record
from agent.launcher.small_json import canonical, read

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SCHEMA = 1
MAX_ATTEMPTS = 3
MAX_FAILED = 16
MAX_TEXT = 1000
"""Of a reason: what is written has to fit into the ballast."""


class StateError(Exception):
    """The document is no state that we wrote."""


class Trial(Record):
    """A release that has to prove itself.

    Attributes:
        attempts: How often it was started, counted before each start.
        deadline_s: How long it may take from its start to be registered.
        command, command_id: What asked for it, and is to be told how it went.
        needs_engine: Whether it has to see the engine as well, as the release before it did.
        from_build: The slot that it takes over from; None: the baked release.
        last_error: How the last attempt ended; "" before that.
    """

    build_id: str
    version: str
    command_id: str
    command: str
    deadline_s: int
    needs_engine: bool
    from_build: str | None
    attempts: int = 0
    max_attempts: int = MAX_ATTEMPTS
    last_error: str = ""


class Failure(Record):
    """Why a build is not tried again for the command that asked for it. `at` is UTC, ISO 8601."""

    reason: str
    at: str
    attempts: int
    command_id: str


class Result(Record):
    """How the last update went: `outcome` is "updated", "rolled_back" or "inconclusive"."""

    command_id: str
    command: str
    version: str
    outcome: str
    reason: str
    reported: bool = False


class State(Record):
    """All that outlives the launcher.

    Attributes:
        seq: Grows with each writing.
        active, fallback: Slots; None: the baked release.
        baked_seen: The build_id of the image's release when it was last chosen; another one is the operator's word.
        failed: By build_id.
        crashes: Abnormal ends since a release was last registered.
        security_floor: The highest of all releases that were registered.
    """

    seq: int = 0
    active: str | None = None
    fallback: str | None = None
    trial: Trial | None = None
    baked_seen: str = ""
    failed: Mapping[str, Failure] = {}
    crashes: int = 0
    security_floor: int = 0
    last_result: Result | None = None

    @property
    def slots(self) -> set[str]:
        """Those that must stay on the disk."""
        trial = self.trial.build_id if self.trial else None
        return {slot for slot in (self.active, self.fallback, trial) if slot}


def dump(state: State) -> bytes:
    """state.json for it."""
    document = {
        **state.__dict__,
        "schema": SCHEMA,
        "trial": _written(state.trial),
        "failed": {build_id: failure.__dict__ for build_id, failure in state.failed.items()},
        "last_result": state.last_result.__dict__ if state.last_result else None,
    }
    return canonical({**document, "crc": _crc(document)})


def load(document: bytes) -> State:
    """The state in it.

    Raises:
        StateError: It was torn, altered, or written by something else.
    """
    try:
        found = read(document)
    except ValueError as error:
        raise StateError(str(error)) from error
    if not isinstance(found, dict) or found.pop("crc", None) != _crc(found):
        raise StateError("its checksum is wrong")
    if found.pop("schema", None) != SCHEMA:
        raise StateError("its schema is not known here")
    try:
        return _state(found)
    except (TypeError, AttributeError, KeyError) as error:
        raise StateError(f"its fields are wrong: {error}") from error


def _state(found: dict[str, Any]) -> State:
    # The checksum vouches for the types of single values: nobody else writes this file.
    failed, trial, result = found.pop("failed"), found.pop("trial"), found.pop("last_result")
    return State(
        **found,
        failed={build_id: Failure(**fields) for build_id, fields in failed.items()},
        trial=_trial(trial) if trial else None,
        last_result=Result(**result) if result else None,
    )


def _trial(found: dict[str, Any]) -> Trial:
    from_build = found.pop("from")
    return Trial(**found, from_build=from_build)


def _written(trial: Trial | None) -> dict[str, object] | None:
    if trial is None:
        return None
    fields = dict(trial.__dict__)
    fields["from"] = fields.pop("from_build")
    return fields


def _crc(document: object) -> str:
    return f"{binascii.crc32(canonical(document)):08x}"
