"""The one message that lets us in: no odd value on a host may keep it out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.identity import Identity
from agent.core.registration import (
    Accepted,
    Declined,
    HostFacts,
    Nonsense,
    Token,
    clean_name,
    hostname,
    read_answer,
    register,
    tokens,
)
from agent.core.replies import encode
from agent.hub.registration import Registration, read_registration

RACK7 = HostFacts(
    engine_id="0d6f7c52-aaaa-4bbb-8ccc-0123456789ab",
    hostname="rack7-nas",
    hostname_source="daemon",
    os_type="linux",
    os_version="Debian GNU/Linux 12",
    kernel_version="6.1.0-28-arm64",
    docker_version="27.3.1",
    daemon_started_at="2026-01-01T00:00:00.123456789Z",
    total_memory_bytes=8_321_499_136,
    num_cpus=4,
    machine="aarch64",
    host_ips=("10.20.0.7", "192.168.9.2"),
)
SCOPED = "fe80::1%" + "x" * 60  # an address by all rules, and longer than the server's longest
UNKNOWN = HostFacts(engine_id="ENGN:AAAA", hostname="rack7-nas", hostname_source="os")


def message(facts: HostFacts = RACK7, **also: Any) -> dict[str, Any]:
    """The message as an agent with few abilities sends it."""
    return register(
        "5f0c1d9e",
        facts,
        version="4.0.0",
        proto_version="1.1",
        capabilities={"container_operations": True, "self_update": False},
        force_unique=False,
        **also,
    )


def rack7_with(fact: str, value: Any) -> HostFacts:
    return replace(RACK7, **{fact: value})


def received(sent: dict[str, Any]) -> Registration:
    """What a server as strict as the real one makes of it, once it has been over the wire."""
    return read_registration(json.loads(encode(sent)))


def test_all_that_is_known_is_sent() -> None:
    """One flat object, and nothing in it that the server does not know."""
    assert message() == {
        "type": "register",
        "token": "5f0c1d9e",
        "engine_id": "0d6f7c52-aaaa-4bbb-8ccc-0123456789ab",
        "version": "4.0.0",
        "proto_version": "1.1",
        "capabilities": {"container_operations": True, "self_update": False},
        "force_unique_registration": False,
        "hostname": "rack7-nas",
        "hostname_source": "daemon",
        "os_type": "linux",
        "os_version": "Debian GNU/Linux 12",
        "kernel_version": "6.1.0-28-arm64",
        "docker_version": "27.3.1",
        "daemon_started_at": "2026-01-01T00:00:00.123456789Z",
        "agent_os": "linux",
        "agent_arch": "arm64",
        "total_memory": 8_321_499_136,
        "num_cpus": 4,
        "host_ips": ["10.20.0.7", "192.168.9.2"],
        "host_ip": "10.20.0.7",
    }


def test_what_is_not_known_is_not_sent() -> None:
    """The server refuses zeros, and keeps what it knew of whatever is left out."""
    assert message(UNKNOWN).keys() == {
        "type",
        "token",
        "engine_id",
        "version",
        "proto_version",
        "capabilities",
        "force_unique_registration",
        "hostname",
        "hostname_source",
        "agent_os",
    }


@pytest.mark.parametrize(
    ("fact", "field", "longest"),
    [
        ("hostname", "hostname", 255),
        ("os_type", "os_type", 50),
        ("os_version", "os_version", 500),
        ("kernel_version", "kernel_version", 255),
        ("docker_version", "docker_version", 50),
        ("daemon_started_at", "daemon_started_at", 100),
        ("machine", "agent_arch", 20),
    ],
)
def test_what_is_too_long_is_cut(fact: str, field: str, longest: int) -> None:
    """Characters, not bytes: the rest is worth more than the whole registration."""
    sent = message(rack7_with(fact, "ä" * 1000))
    assert sent[field] == "ä" * longest
    assert getattr(received(sent), field) == "ä" * longest


@pytest.mark.parametrize(
    ("fact", "field", "most"),
    [("total_memory_bytes", "total_memory", 10**15), ("num_cpus", "num_cpus", 10_000)],
)
def test_a_number_the_server_would_refuse_is_not_sent(fact: str, field: str, most: int) -> None:
    """It has to be above zero and credible."""
    sent = {
        number: message(rack7_with(fact, number)).get(field)
        for number in (-1, 0, 1, most, most + 1)
    }
    assert sent == {-1: None, 0: None, 1: 1, most: most, most + 1: None}


@pytest.mark.parametrize(
    ("machine", "arch"),
    [
        ("x86_64", "amd64"),
        ("aarch64", "arm64"),
        ("armv7l", "arm"),
        ("armv6l", "arm"),
        ("riscv64", "riscv64"),
        ("", None),
    ],
)
def test_the_architecture_is_named_as_go_names_it(machine: str, arch: str | None) -> None:
    """That is what the server expects; a machine without such a name keeps its own."""
    assert message(replace(RACK7, machine=machine)).get("agent_arch") == arch


def test_only_addresses_are_sent_as_addresses() -> None:
    """What is none, or is longer than the server takes, is left out; the first good one also stands alone."""
    odd = ("", "rack7", "10.20.0.7/24", SCOPED, "10.20.0.7", "2001:db8::1")
    sent = message(replace(RACK7, host_ips=odd))
    assert (sent["host_ips"], sent["host_ip"]) == (["10.20.0.7", "2001:db8::1"], "10.20.0.7")
    assert "host_ip" not in message(replace(RACK7, host_ips=("rack7",)))


def test_fifty_addresses_are_enough() -> None:
    """The server takes no more; a host with a hundred is still registered."""
    many = [f"10.0.{n // 256}.{n % 256}" for n in range(300)]
    assert message(replace(RACK7, host_ips=many))["host_ips"] == many[:50]


# The name


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("mine", "engine", "system"), ("mine", "agent_name")),
        (("", "engine", "system"), ("engine", "daemon")),
        (("", "", "system"), ("system", "os")),
        (("", "", ""), ("ENGN:AAAA:BB", "engine_id")),
        ((" \t", "<>", "system"), ("system", "os")),
    ],
)
def test_the_first_name_there_is(names: tuple[str, str, str], expected: tuple[str, str]) -> None:
    """The operator's, the engine's, the system's, else the beginning of the engine's ID."""
    assert hostname(*names, "ENGN:AAAA:BBBB:CCCC") == expected


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("rack7", "rack7"),
        ("  rack 7  ", "rack 7"),
        ("<b>rack7</b>", "brack7/b"),
        ("ra\x00ck\u200b7\n", "rack7"),
        ("größer 🐳", "größer 🐳"),
        ("\ud800rack7", "rack7"),
        ("x" * 254 + "  tail", "x" * 254),
        ("<>", ""),
    ],
)
def test_a_name_is_sent_as_the_server_would_store_it(name: str, cleaned: str) -> None:
    """So that it can be compared with the one that was accepted."""
    assert clean_name(name) == cleaned
    assert (received(message(replace(RACK7, hostname=cleaned))).hostname or "") == cleaned


def test_a_name_that_was_accepted_is_not_sent_again() -> None:
    """Somebody may have renamed the host on the server; only a new name here is worth undoing that."""
    sent = message(accepted_hostname="rack7-nas")
    assert not {"hostname", "hostname_source"} & sent.keys()
    assert message(accepted_hostname="rack7")["hostname"] == "rack7-nas"


def test_what_the_server_refused_before_is_left_out() -> None:
    """Except what it cannot do without: then the refusal stands."""
    sent = message(leave_out=["os_version", "host_ips", "token", "engine_id", "no such field"])
    assert message().keys() - sent.keys() == {"os_version", "host_ips"}


# The server's model

TEXT = st.text(st.characters(exclude_categories=()), max_size=600)
ID = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_:", min_size=1)
ADDRESS = st.ip_addresses().map(str)
ANY_FACTS = st.builds(
    HostFacts,
    engine_id=ID,
    hostname=TEXT,
    hostname_source=st.sampled_from(["agent_name", "daemon", "os", "engine_id"]),
    os_type=TEXT,
    os_version=TEXT,
    kernel_version=TEXT,
    docker_version=TEXT,
    daemon_started_at=TEXT,
    total_memory_bytes=st.integers(),
    num_cpus=st.integers(),
    machine=TEXT,
    host_ips=st.lists(ADDRESS | TEXT | st.just(SCOPED), max_size=60),
)


@given(facts=ANY_FACTS, capabilities=st.dictionaries(TEXT, st.booleans()), unique=st.booleans())
def test_whatever_a_host_says_of_itself_the_server_lets_it_in(
    facts: HostFacts, capabilities: dict[str, bool], unique: bool
) -> None:
    """The strict model accepts every message, and reads from it what was meant."""
    registration = received(
        register(
            "5f0c1d9e",
            facts,
            version="4.0.0",
            proto_version="1.1",
            capabilities=capabilities,
            force_unique=unique,
        )
    )
    assert registration.engine_id == facts.engine_id
    assert registration.force_unique_registration is unique
    assert len(registration.capabilities) <= len(capabilities)


@given(names=st.tuples(TEXT, TEXT, TEXT), engine_id=ID)
def test_the_server_keeps_the_name_it_is_sent(names: tuple[str, str, str], engine_id: str) -> None:
    """Whatever hosts are called, what is accepted equals what was sent: no rename at every reconnect."""
    name, source = hostname(*names, engine_id)
    facts = HostFacts(engine_id, name, source)
    assert received(message(facts)).hostname == name
    assert "hostname" not in message(facts, accepted_hostname=name)


# The answer


@pytest.mark.parametrize(
    ("decoded", "answer"),
    [
        pytest.param(
            {
                "type": "auth_success",
                "agent_id": "7c1e",
                "host_id": "e3b9",
                "permanent_token": "7c1e",
            },
            Accepted("e3b9", "7c1e"),
            id="let in",
        ),
        pytest.param(
            {"type": "auth_error", "error": "Invalid registration token"},
            Declined("Invalid registration token"),
            id="refused",
        ),
        pytest.param(
            {"type": "auth_error", "error": "e" * 1000}, Declined("e" * 500), id="refused at length"
        ),
        pytest.param(
            {"type": "auth_success", "host_id": "e3b9", "permanent_token": ""},
            Nonsense("the answer to register is of type 'auth_success'"),
            id="let in without a token",
        ),
        pytest.param(
            {"type": "auth_success", "host_id": 7, "permanent_token": "7c1e"},
            Nonsense("the answer to register is of type 'auth_success'"),
            id="let in as nobody",
        ),
        pytest.param(
            {"type": "auth_error"},
            Nonsense("the answer to register is of type 'auth_error'"),
            id="refused without a word",
        ),
        pytest.param(
            {"type": "w" * 99},
            Nonsense(f"the answer to register is of type {'w' * 40!r}"),
            id="another type",
        ),
        pytest.param(
            {"hello": "world"},
            Nonsense("the answer to register is not a DockMon message"),
            id="another protocol",
        ),
        pytest.param(
            ["auth_success"],
            Nonsense("the answer to register is not a DockMon message"),
            id="no object",
        ),
    ],
)
def test_the_answer(decoded: object, answer: object) -> None:
    """Let in, refused, or something that no DockMon server would say."""
    assert read_answer(decoded) == answer


# Tokens


@pytest.mark.parametrize(
    ("stored", "permanent", "registration", "expected"),
    [
        ("s", "p", "r", ["s", "p", "r"]),
        ("", "p", None, ["p"]),
        ("s", "s", "s", ["s"]),
        ("", None, "r", ["r"]),
        ("", "", "", []),
    ],
)
def test_tokens_are_tried_best_first(
    stored: str, permanent: str | None, registration: str | None, expected: list[str]
) -> None:
    """The stored one, then the configured ones; none twice, and an empty one is none."""
    found = tokens(
        Identity(permanent_token=stored),
        permanent_token=permanent,
        registration_token=registration,
    )
    assert [token.value for token in found] == expected


def test_only_a_registration_token_is_spent_by_success() -> None:
    """The same text given as a permanent one as well is not."""
    first, last = tokens(Identity(), permanent_token="p", registration_token="r")
    assert (first.single_use, last.single_use) == (False, True)
    (only,) = tokens(Identity(), permanent_token="p", registration_token="p")
    assert not only.single_use


def test_tokens_do_not_show() -> None:
    """Neither those to be tried nor the one that was given to us."""
    shown = repr([Token("PERMANENT_TOKEN", "s3cr3t"), Accepted("e3b9", "s3cr3t")])
    assert "s3cr3t" not in shown
