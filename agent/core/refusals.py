"""What the server's refusals mean and what its close codes mean: two tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from agent.core.failures import Failure, FailureKind, Refusal


class Remedy(Enum):
    """What the agent itself can do about a refusal."""

    WAIT = auto()  # passing: try again as after any failure
    OTHER_TOKEN = auto()  # this token will never do, another one may
    LEAVE_OUT_FIELD = auto()  # the server dislikes one optional value
    GIVE_UP = auto()  # only somebody else can repair it


@dataclass(frozen=True, slots=True)
class Verdict:
    remedy: Remedy
    refusal: Refusal
    field: str = ""  # for LEAVE_OUT_FIELD


NOT_DOCKMON = "does DOCKMON_URL point to a DockMon server?"

NEW_TOKEN = "create a new registration token on the server and set REGISTRATION_TOKEN"  # noqa: S105  an advice

# How the server's `auth_error` texts begin, what can be done, and what to tell the operator.
_REFUSALS: tuple[tuple[str, Remedy, str], ...] = (
    (
        "Invalid registration token",
        Remedy.OTHER_TOKEN,
        f"the host was deleted on the server, or the token is wrong or long expired: {NEW_TOKEN}",
    ),
    ("Registration token has expired", Remedy.OTHER_TOKEN, NEW_TOKEN),
    ("Registration token has reached maximum uses", Remedy.OTHER_TOKEN, NEW_TOKEN),
    (
        "Permanent token does not match engine_id",
        Remedy.OTHER_TOKEN,
        f"Docker was reinstalled or the data volume belongs to another host: {NEW_TOKEN}",
    ),
    (
        "Agent with this engine_id is already registered",
        Remedy.GIVE_UP,
        "either this engine is registered already: remove that host on the server, or restore its data volume; or "
        "another host has the same name: set AGENT_NAME",
    ),
    ("A host named", Remedy.GIVE_UP, "set AGENT_NAME to a name no other host has"),
    (
        "FORCE_UNIQUE_REGISTRATION=true requires AGENT_NAME",
        Remedy.GIVE_UP,
        "set AGENT_NAME, or unset FORCE_UNIQUE_REGISTRATION",
    ),
    (
        "Migration not supported for local Docker connections",
        Remedy.GIVE_UP,
        "the server already monitors this engine through its own socket: remove that host there first",
    ),
    ("Invalid registration data", Remedy.GIVE_UP, "please report this as a defect of the agent"),
    ("Invalid authentication type", Remedy.GIVE_UP, "is this a DockMon 2.4 server?"),
    ("engine_id is required", Remedy.GIVE_UP, "please report this as a defect of the agent"),
    ("Authentication timeout", Remedy.WAIT, ""),
    ("Migration failed", Remedy.WAIT, "the server's log says more"),
    ("Registration failed", Remedy.WAIT, "the server's log says more"),
)

_FIELD = re.compile(r"\(field: (?P<field>\w+)")


def judge(error: str) -> Verdict:
    """What to make of an `auth_error`. A text nobody has seen before is taken for passing."""
    for beginning, remedy, advice in _REFUSALS:
        if error.lower().startswith(beginning.lower()):
            if beginning == "Invalid registration data" and (named := _FIELD.search(error)):
                return Verdict(
                    Remedy.LEAVE_OUT_FIELD,
                    Refusal(error, permanent=True, advice=advice),
                    named["field"],
                )
            return Verdict(remedy, Refusal(error, remedy is not Remedy.WAIT, advice))
    return Verdict(Remedy.WAIT, Refusal(error, permanent=False))


EVICTED = (1000, "New connection established")
"""The close frame by which the server says that another socket registered as this agent."""

_CLOSE_CODES: dict[int, tuple[str, str]] = {
    1000: ("the server closed the connection", ""),
    1001: ("the server is going away", ""),
    1006: ("the connection broke", ""),
    1008: ("the server refuses us", "its log says why"),
    1009: ("a message of ours was too large for the server", "please report this as a defect"),
    1011: ("the server met an error, or took us for dead", ""),
    1012: ("the server is restarting", ""),
    1013: ("the server is overloaded", ""),
}


def closed(code: int, reason: str, *, by_us: bool = False) -> Failure:
    """Why the link ended, from the close frame that came first (1006 and "" without one)."""
    if by_us:
        return Failure(
            FailureKind.PROTOCOL, f"we closed the connection, code {code}: {reason[:123]}"
        )
    text, advice = _CLOSE_CODES.get(code, ("the server closed the connection", ""))
    kind = FailureKind.LOST if code == 1006 else FailureKind.CLOSED
    said = f"{text}, code {code}" + (f": {reason[:123]}" if reason else "")
    return Failure(kind, said, advice)
