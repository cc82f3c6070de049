"""Who may register: how the server reads the `register` object, and what it makes of the token in it."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Identifier = Annotated[str, Field(max_length=255, pattern=r"^[A-Za-z0-9\-_:]*$")]
Text20 = Annotated[str, Field(max_length=20)]
Text50 = Annotated[str, Field(max_length=50)]

# What a reconnecting agent may leave out: the server then keeps what it knew.
SYSTEM_FACTS = (
    "agent_os",
    "agent_arch",
    "os_type",
    "os_version",
    "kernel_version",
    "docker_version",
    "daemon_started_at",
    "total_memory",
    "num_cpus",
    "host_ip",
    "host_ips",
)


ALREADY_REGISTERED = (
    "Agent with this engine_id is already registered. "
    "Delete the existing host first, or set FORCE_UNIQUE_REGISTRATION=true."
)


class Refused(Exception):
    """The agent may not register. The text is the `error` of the `auth_error` it is sent."""


class Registration(BaseModel):
    """The `register` object: flat, unknown keys forbidden. Sizes are in characters, memory in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["register"]
    token: Annotated[Identifier, Field(min_length=1)]
    engine_id: Identifier
    version: Text50
    proto_version: Text20
    capabilities: dict[str, bool]
    hostname: str | None = Field(default=None, max_length=255)
    hostname_source: Literal["agent_name", "daemon", "os", "engine_id"] | None = None
    force_unique_registration: bool | None = False
    os_type: Text50 | None = None
    os_version: str | None = Field(default=None, max_length=500)
    kernel_version: str | None = Field(default=None, max_length=255)
    docker_version: Text50 | None = None
    daemon_started_at: str | None = Field(default=None, max_length=100)
    total_memory: int | None = Field(default=None, gt=0, le=10**15)
    num_cpus: int | None = Field(default=None, gt=0, le=10_000)
    agent_os: Text20 | None = None
    agent_arch: Text20 | None = None
    host_ip: str | None = Field(default=None, max_length=45)
    host_ips: list[str] | None = Field(default=None, max_length=50)

    @field_validator("hostname")
    @classmethod
    def _clean(cls, hostname: str | None) -> str | None:
        if hostname is None:
            return None
        return "".join(c for c in hostname if c.isprintable() and c not in "<>").strip() or None

    @field_validator("host_ips")
    @classmethod
    def _only_addresses(cls, texts: list[str] | None) -> list[str] | None:
        return None if texts is None else [text for text in texts if _is_address(text)]

    @property
    def facts(self) -> dict[str, Any]:
        """The system facts that are present and truthy; the others change nothing."""
        return {name: value for name in SYSTEM_FACTS if (value := getattr(self, name))}


def read_registration(frame: Mapping[str, object]) -> Registration:
    """The first frame of a connection, checked as the server checks it.

    Raises:
        Refused: It is of another type, or a rule is broken; the first broken rule is named.
    """
    if (kind := frame.get("type")) != "register":
        raise Refused(f"Invalid authentication type: {kind}")
    try:
        registration = Registration.model_validate(frame)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = first["loc"][0]
        raise Refused(f"Invalid registration data: {first['msg']} (field: {field})") from None
    if not registration.engine_id:
        raise Refused("engine_id is required")
    return registration


@dataclass(slots=True)
class RegistrationToken:
    """What an operator creates for a new agent.

    `expires_at` None: never. `uses_left` None: any number. Only a new registration that succeeds uses it up.
    """

    expires_at: datetime | None
    uses_left: int | None

    def check(self, now: datetime) -> None:
        if self.expires_at is not None and now >= self.expires_at:
            raise Refused("Registration token has expired")
        if self.uses_left == 0:
            raise Refused("Registration token has reached maximum uses")

    def use(self) -> None:
        if self.uses_left is not None:
            self.uses_left -= 1


class Registered(Protocol):
    """What the decision needs to know of a host that already has an agent."""

    @property
    def agent_id(self) -> str: ...
    @property
    def engine_id(self) -> str: ...
    @property
    def name(self) -> str: ...


HostT = TypeVar("HostT", bound=Registered)


@dataclass(frozen=True, slots=True)
class RemoteHost:
    """A host that the server reached over TCP before it had an agent, and has not migrated yet."""

    engine_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Returning(Generic[HostT]):
    """A permanent token was good. `name` is what the host is called from now on."""

    host: HostT
    name: str


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A registration token was good: a host called `name` is to be created and the token used.

    `migrates` is the remote host whose settings it takes over, or None.
    """

    name: str
    token: RegistrationToken
    migrates: RemoteHost | None = None


def admit(
    registration: Registration,
    now: datetime,
    *,
    tokens: Mapping[str, RegistrationToken],
    hosts: Collection[HostT],
    remote_hosts: Collection[RemoteHost],
    local_engine_ids: Collection[str],
) -> Returning[HostT] | Newcomer:
    """What the token and the engine ID entitle to. Nothing is changed here.

    Permanent tokens are looked up first; for them uniqueness and migration are not evaluated.

    Raises:
        Refused: For good, as far as the server is concerned.
    """
    taken = {host.name for host in remote_hosts}
    taken |= {host.name for host in hosts if host.agent_id != registration.token}
    for host in hosts:
        if host.agent_id == registration.token:
            if host.engine_id != registration.engine_id:
                raise Refused("Permanent token does not match engine_id")
            wanted = registration.hostname or host.name
            return Returning(host, host.name if wanted in taken else wanted)

    token = tokens.get(registration.token)
    if token is None:
        raise Refused("Invalid registration token")
    token.check(now)
    if registration.engine_id in local_engine_ids:
        raise Refused(
            "Migration not supported for local Docker connections. "
            "This engine is already monitored through the server's own socket."
        )
    if registration.force_unique_registration:
        if registration.hostname_source != "agent_name":
            raise Refused("FORCE_UNIQUE_REGISTRATION=true requires AGENT_NAME to be set")
    elif any(host.engine_id == registration.engine_id for host in hosts):
        raise Refused(ALREADY_REGISTERED)

    migrating = [h for h in remote_hosts if h.engine_id == registration.engine_id]
    if len(migrating) == 1 and not registration.force_unique_registration:
        return Newcomer(migrating[0].name, token, migrating[0])
    name = registration.hostname or f"Agent-{registration.engine_id[:12]}"
    if name in taken:
        raise Refused(ALREADY_REGISTERED)  # misleading, and what the server really says
    return Newcomer(name, token)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
