"""Who may register, rule by rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hub.scripted_agent import register

from agent.hub.registration import (
    Newcomer,
    Refused,
    Registration,
    RegistrationToken,
    RemoteHost,
    Returning,
    admit,
    read_registration,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = "reg-1"
EXPIRY = NOW + timedelta(minutes=15)

ACCEPTED: list[tuple[str, Any]] = [
    ("token", "A-z_0:9"),
    ("token", "t" * 255),
    ("engine_id", "e" * 255),
    ("version", "v" * 50),
    ("version", ""),
    ("proto_version", "p" * 20),
    ("capabilities", {}),
    ("capabilities", {"a": True, "anything at all": False}),
    ("hostname", "h" * 255),
    ("hostname_source", "agent_name"),
    ("hostname_source", "daemon"),
    ("hostname_source", "os"),
    ("hostname_source", "engine_id"),
    ("force_unique_registration", True),
    ("os_type", "o" * 50),
    ("os_version", "o" * 500),
    ("kernel_version", "k" * 255),
    ("docker_version", "d" * 50),
    ("daemon_started_at", "d" * 100),
    ("total_memory", 1),
    ("total_memory", 10**15),
    ("num_cpus", 1),
    ("num_cpus", 10_000),
    ("agent_os", "a" * 20),
    ("agent_arch", "a" * 20),
    ("host_ip", "1" * 45),
    ("host_ips", ["10.0.0.1"] * 50),
]


@pytest.mark.parametrize(("field", "value"), ACCEPTED, ids=lambda v: str(v)[:20])
def test_a_value_at_its_limit_is_accepted(field: str, value: Any) -> None:
    """Each field takes everything up to its limit, and keeps it as it is."""
    assert getattr(read_registration(register(TOKEN) | {field: value}), field) == value


REFUSED: list[tuple[str, Any, str]] = [
    ("id", "1", "Extra inputs are not permitted"),
    ("timestamp", "2026-01-01T00:00:00Z", "Extra inputs are not permitted"),
    ("token", "", "String should have at least 1 character"),
    ("token", "t" * 256, "String should have at most 255 characters"),
    ("token", "with space", "String should match pattern '^[A-Za-z0-9\\-_:]*$'"),
    ("token", "line\n", "String should match pattern '^[A-Za-z0-9\\-_:]*$'"),
    ("token", 7, "Input should be a valid string"),
    ("engine_id", "e" * 256, "String should have at most 255 characters"),
    ("engine_id", "a/b", "String should match pattern '^[A-Za-z0-9\\-_:]*$'"),
    ("version", "v" * 51, "String should have at most 50 characters"),
    ("proto_version", "p" * 21, "String should have at most 20 characters"),
    ("capabilities", ["self_update"], "Input should be a valid dictionary"),
    ("capabilities", {"a": {}}, "Input should be a valid boolean"),
    ("capabilities", {"a": None}, "Input should be a valid boolean"),
    (
        "capabilities",
        {"a": "maybe"},
        "Input should be a valid boolean, unable to interpret input",
    ),
    ("hostname", "h" * 256, "String should have at most 255 characters"),
    (
        "hostname_source",
        "dns",
        "Input should be 'agent_name', 'daemon', 'os' or 'engine_id'",
    ),
    ("os_type", "o" * 51, "String should have at most 50 characters"),
    ("os_version", "o" * 501, "String should have at most 500 characters"),
    ("kernel_version", "k" * 256, "String should have at most 255 characters"),
    ("docker_version", "d" * 51, "String should have at most 50 characters"),
    ("daemon_started_at", "d" * 101, "String should have at most 100 characters"),
    ("total_memory", 0, "Input should be greater than 0"),
    ("total_memory", 10**15 + 1, "Input should be less than or equal to 1000000000000000"),
    ("num_cpus", 0, "Input should be greater than 0"),
    ("num_cpus", 10_001, "Input should be less than or equal to 10000"),
    ("num_cpus", 4.5, "Input should be a valid integer, got a number with a fractional part"),
    ("agent_os", "a" * 21, "String should have at most 20 characters"),
    ("agent_arch", "a" * 21, "String should have at most 20 characters"),
    ("host_ip", "1" * 46, "String should have at most 45 characters"),
    ("host_ips", ["10.0.0.1"] * 51, "List should have at most 50 items after validation, not 51"),
]


@pytest.mark.parametrize(("field", "value", "message"), REFUSED, ids=lambda v: str(v)[:20])
def test_a_value_over_its_limit_is_refused(field: str, value: Any, message: str) -> None:
    """One odd value blocks the registration, and the refusal names the field."""
    with pytest.raises(Refused) as refused:
        read_registration(register(TOKEN) | {field: value})
    assert str(refused.value) == f"Invalid registration data: {message} (field: {field})"


@pytest.mark.parametrize(
    "field", ["token", "engine_id", "version", "proto_version", "capabilities"]
)
def test_a_required_field_is_missed(field: str) -> None:
    """Five fields besides `type` must be there."""
    frame = register(TOKEN)
    del frame[field]
    with pytest.raises(Refused) as refused:
        read_registration(frame)
    assert str(refused.value) == f"Invalid registration data: Field required (field: {field})"


@pytest.mark.parametrize(
    "field", [name for name, f in Registration.model_fields.items() if not f.is_required()]
)
def test_an_optional_field_may_be_null(field: str) -> None:
    """What may be absent may also be null."""
    assert getattr(read_registration({**register(TOKEN), field: None}), field) is None


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ({"type": "reconnect"}, "Invalid authentication type: reconnect"),
        ({"type": "event", "command": "x"}, "Invalid authentication type: event"),
        ({}, "Invalid authentication type: None"),
        (register(TOKEN, engine_id=""), "engine_id is required"),
    ],
)
def test_anything_else_is_no_registration(frame: dict[str, Any], text: str) -> None:
    """There is no other handshake, and no agent without an engine ID."""
    with pytest.raises(Refused) as refused:
        read_registration(frame)
    assert str(refused.value) == text


@pytest.mark.parametrize(
    ("field", "sent", "read"),
    [
        ("hostname", " <b>ra\tck</b>\u200b ", "brack/b"),
        ("hostname", " <> ", None),
        ("num_cpus", "4", 4),
        ("capabilities", {"a": "yes", "b": 0}, {"a": True, "b": False}),
        ("host_ips", ["10.0.0.1", "lan0", "::1", ""], ["10.0.0.1", "::1"]),
    ],
)
def test_some_values_are_put_right(field: str, sent: Any, read: Any) -> None:
    """Host names are cleaned, numbers and booleans coerced, non-addresses dropped."""
    assert getattr(read_registration(register(TOKEN, **{field: sent})), field) == read


def test_only_truthy_facts_count() -> None:
    """What is absent or empty leaves what the server knew as it was."""
    registration = read_registration(register(TOKEN, os_type="linux", os_version="", host_ips=[]))
    assert registration.facts == {"os_type": "linux"}


@dataclass(frozen=True)
class Known:
    agent_id: str
    engine_id: str = "engine-1"
    name: str = "rack7"


def decide(
    *hosts: Known,
    token: RegistrationToken | None = None,
    remote: tuple[RemoteHost, ...] = (),
    local: tuple[str, ...] = (),
    now: datetime = NOW,
    **fields: Any,
) -> Returning[Known] | Newcomer:
    """The decision about an agent of engine-1 that presents TOKEN, which is good unless given."""
    frame = {"engine_id": "engine-1", **fields}
    return admit(
        read_registration(register(frame.pop("token_text", TOKEN), **frame)),
        now,
        tokens={TOKEN: token or RegistrationToken(EXPIRY, 1)},
        hosts=hosts,
        remote_hosts=remote,
        local_engine_ids=local,
    )


def refusal(*hosts: Known, **given: Any) -> str:
    with pytest.raises(Refused) as refused:
        decide(*hosts, **given)
    return str(refused.value)


def test_a_good_token_creates_a_host() -> None:
    """The host is called as the agent says, else after the engine ID."""
    assert decide(hostname="nas") == Newcomer("nas", RegistrationToken(EXPIRY, 1))
    assert decide().name == "Agent-engine-1"
    assert decide(engine_id="0123456789abcdef").name == "Agent-0123456789ab"


def test_an_unknown_token_is_refused() -> None:
    """So is the permanent token of a host that was deleted: the server no longer knows it."""
    assert refusal(token_text="who-knows") == "Invalid registration token"


def test_a_token_expires() -> None:
    """At its 15th minute it is too late."""
    assert isinstance(decide(now=EXPIRY - timedelta(microseconds=1)), Newcomer)
    assert refusal(now=EXPIRY) == "Registration token has expired"


def test_a_token_is_used_up() -> None:
    """A used token is refused for good, an expired one as expired even if it is used, too."""
    spent = RegistrationToken(EXPIRY, 0)
    assert refusal(token=spent) == "Registration token has reached maximum uses"
    late = NOW + timedelta(hours=1)
    assert refusal(token=spent, now=late) == "Registration token has expired"


def test_a_token_counts_its_uses() -> None:
    """Deciding uses nothing; an unlimited token stays so."""
    once, ever = RegistrationToken(None, 1), RegistrationToken(None, None)
    decide(token=once)
    assert once.uses_left == 1
    once.use()
    ever.use()
    assert (once.uses_left, ever.uses_left) == (0, None)


def test_a_permanent_token_is_looked_up_first() -> None:
    """It needs no registration token and outlives every expiry."""
    host = Known("agent-1")
    late = NOW + timedelta(days=3650)
    assert decide(host, token_text="agent-1", now=late) == Returning(host, "rack7")


def test_a_permanent_token_belongs_to_one_engine() -> None:
    """A new engine ID under an old token is refused."""
    text = refusal(Known("agent-1"), token_text="agent-1", engine_id="engine-2")
    assert text == "Permanent token does not match engine_id"


def test_a_permanent_token_evaluates_nothing_else() -> None:
    """Neither duplicates, nor the local engine, nor the unique flag."""
    host, twin = Known("agent-1"), Known("agent-2", name="twin")
    unique: Any = {"force_unique_registration": True, "hostname_source": "os"}
    decided = decide(host, twin, token_text="agent-1", local=("engine-1",), **unique)
    assert decided == Returning(host, "rack7")


def test_a_returning_agent_renames_its_host() -> None:
    """Unless another host has that name; without a hostname nothing changes."""
    host, other = Known("agent-1"), Known("agent-2", "engine-2", "nas")
    assert decide(host, other, token_text="agent-1", hostname="new").name == "new"
    assert decide(host, other, token_text="agent-1", hostname="nas").name == "rack7"
    assert decide(host, other, token_text="agent-1", hostname="rack7").name == "rack7"
    assert decide(host, other, token_text="agent-1").name == "rack7"


def test_the_servers_own_engine_is_refused() -> None:
    """Before anything about uniqueness is asked."""
    unique: Any = {"force_unique_registration": True}
    text = refusal(Known("agent-1"), local=("engine-1",), **unique)
    assert text.startswith("Migration not supported for local Docker connections")


def test_an_engine_registers_once() -> None:
    """A second agent of the same engine is refused."""
    text = refusal(Known("agent-1"), hostname="other")
    assert text.startswith("Agent with this engine_id is already registered")


def test_a_unique_registration_skips_the_duplicate_check() -> None:
    """Cloned machines share an engine ID; each then needs a name of its own, set by the operator."""
    unique: Any = {"force_unique_registration": True, "hostname": "clone"}
    decided = decide(Known("agent-1"), hostname_source="agent_name", **unique)
    assert decided.name == "clone"
    for source in ("daemon", "os", "engine_id", None):
        text = refusal(Known("agent-1"), hostname_source=source, **unique)
        assert text.startswith("FORCE_UNIQUE_REGISTRATION=true requires AGENT_NAME")


def test_a_host_name_is_taken() -> None:
    """The collision is reported as one of the engine ID: misleading, and what the server says."""
    text = refusal(Known("agent-1", "engine-2", "nas"), hostname="nas")
    assert text.startswith("Agent with this engine_id is already registered")


def test_a_remote_host_migrates() -> None:
    """The agent takes over the one TCP host of its engine, with that host's name."""
    old, other = RemoteHost("engine-1", "old nas"), RemoteHost("engine-2", "other")
    decided = decide(remote=(old, other), hostname="nas")
    assert isinstance(decided, Newcomer)
    assert (decided.name, decided.migrates) == ("old nas", old)


def test_several_remote_hosts_are_left_to_the_user() -> None:
    """Which one to migrate is not for the server to guess."""
    remote = (RemoteHost("engine-1", "a"), RemoteHost("engine-1", "b"))
    decided = decide(remote=remote, hostname="nas")
    assert isinstance(decided, Newcomer)
    assert (decided.name, decided.migrates) == ("nas", None)
