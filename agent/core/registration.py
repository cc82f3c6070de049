"""The one message that lets us in: built so that no odd value on a host can keep it out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.core.identity import Identity

MAX_TEXT = {
    "version": 50,
    "proto_version": 20,
    "hostname": 255,
    "os_type": 50,
    "os_version": 500,
    "kernel_version": 255,
    "docker_version": 50,
    "daemon_started_at": 100,
    "agent_os": 20,
    "agent_arch": 20,
}
"""Longest text the server takes for each field, in characters; longer ones are cut."""

MAX_MEMORY_BYTES = 10**15
MAX_CPUS = 10_000
MAX_HOST_IPS = 50
MAX_ADDRESS = 45
"""Characters: an address with a long zone (`fe80::1%…`) is valid, and would cost the whole registration."""

REQUIRED = frozenset({"type", "token", "engine_id", "version", "proto_version", "capabilities"})

GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm"}
"""Machine names as the kernel gives them, as the server expects them."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the host is. Zeros and empty strings: not known, and then not sent."""

    engine_id: str
    hostname: str
    hostname_source: str
    os_type: str = ""
    os_version: str = ""
    kernel_version: str = ""
    docker_version: str = ""
    daemon_started_at: str = ""
    total_memory_bytes: int = 0
    num_cpus: int = 0
    machine: str = ""
    host_ips: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """`auth_success`. The token equals the agent's id."""

    host_id: str
    permanent_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Declined:
    """`auth_error`, in the server's words."""

    error: str


@dataclass(frozen=True, slots=True)
class Nonsense:
    """Neither: whatever answers there is no DockMon server."""

    reason: str


def hostname(agent_name: str, daemon: str, system: str, engine_id: str) -> tuple[str, str]:
    """The name to show for this host with the server's word for where it comes from: the first that is not empty."""
    for name, source in ((agent_name, "agent_name"), (daemon, "daemon"), (system, "os")):
        if cleaned := clean_name(name):
            return cleaned, source
    return engine_id[:12], "engine_id"


def clean_name(name: str) -> str:
    """`name` as the server would store it, so that comparing with what it accepted compares like with like."""
    printable = "".join(c for c in name if c.isprintable() and c not in "<>")
    return printable.strip()[: MAX_TEXT["hostname"]].strip()


def register(
    token: str,
    facts: HostFacts,
    *,
    version: str,
    proto_version: str,
    capabilities: Mapping[str, bool],
    force_unique: bool,
    accepted_hostname: str = "",
    leave_out: Iterable[str] = (),
) -> dict[str, Any]:
    """The `register` message: flat, no key too many, nothing too long, no zeros.

    Args:
        accepted_hostname: The name the server last accepted from us. Sending it again would undo a rename made there,
            so it is left out while it is the same.
        leave_out: Optional fields that the server refused before.
    """
    message: dict[str, Any] = {
        "type": "register",
        "token": token,
        "engine_id": facts.engine_id,
        "version": version,
        "proto_version": proto_version,
        "capabilities": dict(capabilities),
        "force_unique_registration": force_unique,
        "os_type": facts.os_type,
        "os_version": facts.os_version,
        "kernel_version": facts.kernel_version,
        "docker_version": facts.docker_version,
        "daemon_started_at": facts.daemon_started_at,
        "agent_os": "linux",
        "agent_arch": GO_ARCHITECTURES.get(facts.machine, facts.machine),
    }
    if facts.hostname != accepted_hostname:
        message |= {"hostname": facts.hostname, "hostname_source": facts.hostname_source}
    if 0 < facts.total_memory_bytes <= MAX_MEMORY_BYTES:
        message["total_memory"] = facts.total_memory_bytes
    if 0 < facts.num_cpus <= MAX_CPUS:
        message["num_cpus"] = facts.num_cpus
    if addresses := [ip for ip in facts.host_ips if _is_address(ip)][:MAX_HOST_IPS]:
        message |= {"host_ips": addresses, "host_ip": addresses[0]}
    for key, longest in MAX_TEXT.items():
        if key in message:
            message[key] = message[key][:longest]
    left_out = set(leave_out) - REQUIRED
    return {k: v for k, v in message.items() if v != "" and k not in left_out}


def read_answer(decoded: object) -> Accepted | Declined | Nonsense:
    """The server's one answer to `register`, from its decoded JSON."""
    match decoded:
        case {"type": "auth_success", "host_id": str(host), "permanent_token": str(token)} if token:
            return Accepted(host, token)
        case {"type": "auth_error", "error": str(error)}:
            return Declined(error[:500])
        case {"type": str(kind)}:
            return Nonsense(f"the answer to register is of type {kind[:40]!r}")
        case _:
            return Nonsense("the answer to register is not a DockMon message")


@dataclass(frozen=True, slots=True)
class Token:
    """A token worth trying. `single_use` ones are spent by success: prove first that what they buy can be kept."""

    origin: str
    value: str = field(repr=False)
    single_use: bool = False


def tokens(
    identity: Identity, *, permanent_token: str | None, registration_token: str | None
) -> list[Token]:
    """What to try, best first: the stored token, the configured ones, and none twice."""
    tried: dict[str, Token] = {}
    for origin, value, single_use in (
        ("the stored token", identity.permanent_token, False),
        ("PERMANENT_TOKEN", permanent_token, False),
        ("REGISTRATION_TOKEN", registration_token, True),
    ):
        if value:
            tried.setdefault(value, Token(origin, value, single_use))
    return list(tried.values())


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return len(text) <= MAX_ADDRESS
