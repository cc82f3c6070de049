"""What the server's refusals and close codes mean: two tables, each tried row by row."""

from __future__ import annotations

import pytest

from agent.core.failures import FailureKind
from agent.core.refusals import EVICTED, NEW_TOKEN, Remedy, closed, judge

REFUSALS = [
    ("Invalid registration token", Remedy.OTHER_TOKEN, NEW_TOKEN),
    ("Registration token has expired", Remedy.OTHER_TOKEN, NEW_TOKEN),
    ("Registration token has reached maximum uses", Remedy.OTHER_TOKEN, NEW_TOKEN),
    ("Permanent token does not match engine_id", Remedy.OTHER_TOKEN, "Docker was reinstalled"),
    (
        "Agent with this engine_id is already registered. Delete the existing host first, or …",
        Remedy.GIVE_UP,
        "another host has the same name: set AGENT_NAME",  # the server says the same of a name
    ),
    (
        "Agent with this engine_id is already registered. Delete the existing host first, or …",
        Remedy.GIVE_UP,
        "this engine is registered already: remove that host on the server",
    ),
    ("A host named 'rack7' already exists", Remedy.GIVE_UP, "set AGENT_NAME"),
    (
        "FORCE_UNIQUE_REGISTRATION=true requires AGENT_NAME to be set",
        Remedy.GIVE_UP,
        "unset FORCE_UNIQUE_REGISTRATION",
    ),
    (
        "Migration not supported for local Docker connections. …",
        Remedy.GIVE_UP,
        "through its own socket",
    ),
    ("Invalid registration data", Remedy.GIVE_UP, "report this as a defect"),
    ("Invalid registration data: nothing known (field: )", Remedy.GIVE_UP, "report this"),
    ("Invalid authentication type: reconnect", Remedy.GIVE_UP, "is this a DockMon 2.4 server?"),
    ("engine_id is required", Remedy.GIVE_UP, "report this as a defect"),
    ("Authentication timeout", Remedy.WAIT, ""),
    ("Migration failed: database is locked", Remedy.WAIT, "the server's log says more"),
    ("Registration failed due to a conflict", Remedy.WAIT, "the server's log says more"),
    ("The moon is in the wrong quarter", Remedy.WAIT, ""),
    ("Sorry. Invalid registration token", Remedy.WAIT, ""),
    ("", Remedy.WAIT, ""),
]


@pytest.mark.parametrize(
    ("error", "remedy", "advice"),
    [pytest.param(*row, id=f"{number}-{row[0][:40]}") for number, row in enumerate(REFUSALS)],
)
def test_what_a_refusal_means(error: str, remedy: Remedy, advice: str) -> None:
    """What the agent does about it, and what it tells the operator; an unknown text is taken for passing."""
    verdict = judge(error)
    assert verdict.remedy is remedy
    assert verdict.refusal.text == error
    assert verdict.refusal.permanent is (remedy is not Remedy.WAIT)
    assert advice in verdict.refusal.advice
    assert bool(advice) is bool(verdict.refusal.advice)


@pytest.mark.parametrize("error", ["INVALID REGISTRATION TOKEN", "invalid registration token"])
def test_a_refusal_is_known_however_it_is_written(error: str) -> None:
    """Upper and lower case say the same."""
    assert judge(error).remedy is Remedy.OTHER_TOKEN


@pytest.mark.parametrize(
    ("error", "field"),
    [
        ("Invalid registration data: Extra inputs are not permitted (field: colour)", "colour"),
        ("Invalid registration data: too long (50 characters) (field: os_version)", "os_version"),
        ("Invalid registration data: not a valid list (field: host_ips.3)", "host_ips"),
    ],
)
def test_a_disliked_value_is_left_out(error: str, field: str) -> None:
    """The server names the field; without it everything else may still be registered."""
    verdict = judge(error)
    assert (verdict.remedy, verdict.field) == (Remedy.LEAVE_OUT_FIELD, field)
    assert verdict.refusal.permanent


CLOSINGS = [
    (1000, "", FailureKind.CLOSED, "the server closed the connection, code 1000", ""),
    (1001, "", FailureKind.CLOSED, "the server is going away, code 1001", ""),
    (1006, "", FailureKind.LOST, "the connection broke, code 1006", ""),
    (
        1008,
        "Authentication failed",
        FailureKind.CLOSED,
        "the server refuses us, code 1008: Authentication failed",
        "its log says why",
    ),
    (
        1009,
        "",
        FailureKind.CLOSED,
        "a message of ours was too large for the server, code 1009",
        "please report this as a defect",
    ),
    (
        1011,
        "keepalive ping timeout",
        FailureKind.CLOSED,
        "the server met an error, or took us for dead, code 1011: keepalive ping timeout",
        "",
    ),
    (1012, "", FailureKind.CLOSED, "the server is restarting, code 1012", ""),
    (1013, "", FailureKind.CLOSED, "the server is overloaded, code 1013", ""),
    (4000, "hm", FailureKind.CLOSED, "the server closed the connection, code 4000: hm", ""),
]


@pytest.mark.parametrize(("code", "reason", "kind", "text", "advice"), CLOSINGS)
def test_what_a_close_code_means(
    code: int, reason: str, kind: FailureKind, text: str, advice: str
) -> None:
    """Why the link ended, with the server's own words after ours; codes nobody knows are told as they are."""
    failure = closed(code, reason)
    assert (failure.kind, failure.text, failure.advice) == (kind, text, advice)


def test_closing_ourselves_is_not_blamed_on_the_server() -> None:
    """It was our decision, and the log says so."""
    failure = closed(1009, "message too big", by_us=True)
    assert failure.kind is FailureKind.PROTOCOL
    assert failure.text == "we closed the connection, code 1009: message too big"


@pytest.mark.parametrize("by_us", [False, True])
def test_a_reason_is_no_longer_than_a_close_frame_allows(by_us: bool) -> None:
    """123 bytes fit into one; more did not come from there."""
    assert closed(1011, "r" * 500, by_us=by_us).text.endswith(": " + "r" * 123)


def test_an_eviction_is_told_by_code_and_reason() -> None:
    """An ordinary close with 1000 is none."""
    assert EVICTED == (1000, "New connection established")
