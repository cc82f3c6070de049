"""The agent's settings: the environment variables of the Go agent, and a few more.

`load` takes the environment as an argument; nothing here looks at `os.environ`. The descriptions
below are what `docs/reference/settings.md` is made of.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from agent.core.durations import parse_boolean, parse_duration_s
from agent.core.image_reference import InvalidReference
from agent.core.self_update_rules import repositories

MAX_TEXT = 255
"""The longest token and the longest host name the server takes, in characters."""

_MAX_FILE_BYTES = 64 * 1024
_TOKENS = ("REGISTRATION_TOKEN", "PERMANENT_TOKEN")
_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock")
_URL_EXAMPLE = "https://dockmon.example.com"


class SettingsError(Exception):
    """A setting the agent cannot start with: the operator's to mend.

    The text is one line: which variable, what is wrong, what to write instead. It never repeats
    what was written, for that may be a secret, or one that was put in the wrong place.
    """


class UnreadableFileError(SettingsError):
    """The file a `NAME_FILE` variable points to cannot be read. It may be there later."""


@dataclass(frozen=True, slots=True)
class Form:
    """How an operator writes a value: the `Form` column of the reference."""

    text: str


def _server_url(text: str) -> str:
    text = text.strip()
    hint = f"write it like {_URL_EXAMPLE}"
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:  # its text may repeat a password
        raise ValueError(f"not a valid URL: {hint}") from None
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or "://" not in text:
        raise ValueError(f"not an http, https, ws or wss URL: {hint}")
    if "@" in parts.netloc:
        raise ValueError(
            "holds a user name or a password, which would end in logs: leave that part out, "
            "the agent identifies itself with its token"
        )
    if "?" in text or "#" in text:
        raise ValueError(f"holds a query or a fragment (? or #): {hint}")
    if not host or not text.isprintable() or " " in text:
        raise ValueError(f"has no host, or characters that no URL has: {hint}")
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _token(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_TEXT:
        raise ValueError(f"longer than {MAX_TEXT} characters: copy the token again from DockMon")
    if not re.fullmatch(r"[A-Za-z0-9_:-]+", text):
        raise ValueError(
            "not a token, which has letters, digits and - _ : only: copy it again from DockMon"
        )
    return text


def _engine_url(text: str) -> str:
    text = text.strip()
    if text.startswith("/"):
        return f"unix://{text}"
    scheme, _, address = text.partition("://")
    if scheme not in ("unix", "tcp", "http", "https") or not address:
        raise ValueError(
            "not an address of an engine: write it like unix:///var/run/docker.sock "
            "or tcp://192.0.2.7:2376"
        )
    if scheme != "unix" and "@" in address:
        raise ValueError("holds a user name or a password, which would end in logs: leave it out")
    return text


def _path(text: str | Path) -> Path:
    if str(text).lstrip().startswith("-----BEGIN"):
        raise ValueError("holds a certificate or key: write the path of the file instead")
    return Path(text)


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("not an absolute path: write it from the root, like /srv/stacks")
    return path


def _positive_duration_s(text: str) -> float:
    duration_s = parse_duration_s(text)
    if duration_s <= 0:
        raise ValueError("not above zero: write a duration like 1s")
    return duration_s


def _level(text: str) -> str:
    level = text.strip().lower()
    level = {"warning": "warn"}.get(level, level)
    if level not in ("debug", "info", "warn", "error"):
        raise ValueError("not a log level: write debug, info, warn or error")
    return level


def _protocol_version(text: str) -> str:
    text = text.strip()
    if len(text) > 20:
        raise ValueError("longer than 20 characters: leave it unset")
    return text


def _repositories(text: str) -> tuple[str, ...]:
    try:
        return repositories(text)
    except InvalidReference as invalid:
        raise ValueError(
            f"an entry {invalid}: write repositories like registry.example.com/team/dockmon-agent"
        ) from None


ServerUrl = Annotated[str, AfterValidator(_server_url), Form("URL: http, https, ws or wss")]
Token = Annotated[SecretStr, BeforeValidator(_token), Form("token, at most 255 characters")]
EngineUrl = Annotated[
    str, AfterValidator(_engine_url), Form("URL: unix, tcp, http or https; or a path")
]
AnyPath = Annotated[Path, BeforeValidator(_path), Form("path")]
AbsolutePath = Annotated[Path, AfterValidator(_absolute), Form("absolute path")]
Name = Annotated[
    str,
    AfterValidator(lambda text: text.strip()[:MAX_TEXT]),
    Form("text, at most 255 characters"),
]
Duration = Annotated[
    float, BeforeValidator(_positive_duration_s), Form("duration above zero, like `1m30s`")
]
Boolean = Annotated[bool, BeforeValidator(parse_boolean), Form("boolean")]
LogLevel = Annotated[
    Literal["debug", "info", "warn", "error"],
    BeforeValidator(_level),
    Form("`debug`, `info`, `warn` or `error`, in any case"),
]
ProtocolVersion = Annotated[
    str, AfterValidator(_protocol_version), Form("text, at most 20 characters")
]


Repositories = Annotated[
    tuple[str, ...], BeforeValidator(_repositories), Form("repositories, separated by commas")
]


class Settings(BaseModel):
    """What the operator decided, checked. Built by `load`; every duration is in seconds.

    The default of a duration stands here as an operator would write it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: ServerUrl = Field(
        alias="DOCKMON_URL",
        description=f"Base address of the DockMon server, for example `{_URL_EXAMPLE}`. A path is "
        "kept, trailing slashes are cut off; user name, password, query and fragment are refused.",
    )
    registration_token: Token | None = Field(
        None,
        alias="REGISTRATION_TOKEN",
        description="Registers a new host. Not needed once `<DATA_PATH>/permanent_token` exists; "
        "used again if the server no longer knows that one.",
    )
    permanent_token: Token | None = Field(
        None,
        alias="PERMANENT_TOKEN",
        description="Identifies a host that is registered. Normally the agent keeps it itself, in "
        "`<DATA_PATH>/permanent_token`.",
    )
    insecure_skip_verify: Boolean = Field(
        False,
        alias="INSECURE_SKIP_VERIFY",
        description="Accept any certificate of the server. Anyone on the way can then read along "
        "and give orders: `DOCKMON_CA_CERT` is the safe way to a certificate of one's own.",
    )
    ca_cert: AnyPath | None = Field(
        None,
        alias="DOCKMON_CA_CERT",
        description="PEM file with certificate authorities to trust for the server, in addition to "
        "the system's.",
    )
    docker_host: EngineUrl | None = Field(
        None,
        alias="DOCKER_HOST",
        description="Address of the Docker engine.",
        json_schema_extra={"default": "first that exists of " + ", ".join(_SOCKETS)},
    )
    docker_cert_path: AnyPath | None = Field(
        None,
        alias="DOCKER_CERT_PATH",
        description="Directory with `ca.pem`, `cert.pem` and `key.pem` for a `tcp` engine.",
    )
    docker_tls_verify: Boolean = Field(
        False,
        alias="DOCKER_TLS_VERIFY",
        description="Check the certificate of a `tcp` engine.",
    )
    agent_name: Name | None = Field(
        None,
        alias="AGENT_NAME",
        description="Name of the host in DockMon; a longer one is cut. It overwrites a name given "
        "in the user interface.",
        json_schema_extra={"default": "the engine's host name"},
    )
    force_unique_registration: Boolean = Field(
        False,
        alias="FORCE_UNIQUE_REGISTRATION",
        description="Register although the server knows a host with this engine ID (cloned "
        "machines). Needs `AGENT_NAME`.",
    )
    proto_version: ProtocolVersion = Field(
        "1.1",
        alias="PROTO_VERSION",
        description="Protocol version told to the server, which displays it and does no more.",
    )
    reconnect_initial_s: Duration = Field(
        "1s",
        validate_default=True,
        alias="RECONNECT_INITIAL",
        description="Upper bound of the first, random delay before a reconnect; it doubles with "
        "each failure.",
    )
    reconnect_max_s: Duration = Field(
        "60s",
        validate_default=True,
        alias="RECONNECT_MAX",
        description="Where the doubling ends. Not below `RECONNECT_INITIAL`.",
    )
    data_path: AnyPath = Field(
        Path("/data"),
        alias="DATA_PATH",
        description="Directory for what must survive a restart: the token, the database, releases.",
    )
    stacks_dir: AnyPath = Field(
        default_factory=lambda data: data["data_path"] / "stacks",
        alias="AGENT_STACKS_DIR",
        description="Directory the Compose projects are deployed to.",
        json_schema_extra={"default": "`<DATA_PATH>/stacks`"},
    )
    host_stacks_dir: AbsolutePath | None = Field(
        None,
        alias="HOST_STACKS_DIR",
        description="The same directory as the engine's host sees it.",
        json_schema_extra={"default": "found out from the agent's own mounts"},
    )
    stats_interval_s: Duration = Field(
        "1s",
        validate_default=True,
        alias="STATS_INTERVAL",
        description="From one look at what the containers use to the next. It gets longer by itself "
        "while the link to the server takes no more, and where the figures have to come from the "
        "engine, for which `docs/operate/statistics.md` has the cure.",
    )
    update_timeout_s: Duration = Field(
        "120s",
        validate_default=True,
        alias="UPDATE_TIMEOUT",
        description="Checked and otherwise unused, as in the Go agent; the server sets the time "
        "limits of an update.",
    )
    update_repositories: Repositories = Field(
        (),
        alias="UPDATE_REPOSITORIES",
        description="Repositories that the agent's own image may come from when it updates itself. "
        "Everything else is refused, whoever asks.",
        json_schema_extra={"default": "the running image's repository"},
    )
    update_registry_auth_file: AnyPath | None = Field(
        None,
        alias="UPDATE_REGISTRY_AUTH_FILE",
        description="Docker `config.json` whose `auths` are shown to the registry of the agent's own image. "
        "Read anew for each update; one that cannot be used is warned of.",
    )
    ignore_slots: Boolean = Field(
        False,
        alias="AGENT_IGNORE_SLOTS",
        description="For the launcher: run the image's own release, whatever is installed on the volume.",
    )
    log_level: LogLevel = Field(
        "info",
        alias="LOG_LEVEL",
        description="The least important lines to log. `warning` is read as `warn`.",
    )
    log_json: Boolean = Field(
        True,
        alias="LOG_JSON",
        description="One JSON object per line; otherwise text for people.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.force_unique_registration and self.agent_name is None:
            raise ValueError(
                "FORCE_UNIQUE_REGISTRATION: needs a name to tell this host from its twin: "
                "set AGENT_NAME too"
            )
        if self.reconnect_max_s < self.reconnect_initial_s:
            raise ValueError(
                f"RECONNECT_MAX: its {self.reconnect_max_s:g} s are below RECONNECT_INITIAL with "
                f"{self.reconnect_initial_s:g} s: raise the one or lower the other"
            )
        return self

    @property
    def agent_ws_url(self) -> str:
        """Where the agent's own socket connects to (`ws` or `wss`)."""
        return f"{self.url}/api/agent/ws"

    @property
    def stats_ws_url(self) -> str:
        """Where the socket for historical statistics connects to (`ws` or `wss`)."""
        return f"{self.url}/api/stats/ws/ingest"

    def engine_url(self, exists: Callable[[Path], bool]) -> str:
        """Where the engine is: DOCKER_HOST, or the first of the usual sockets that `exists`.

        If none does, the first of them, for the engine may be started after the agent.
        """
        if self.docker_host is not None:
            return self.docker_host
        return f"unix://{next((path for path in _SOCKETS if exists(Path(path))), _SOCKETS[0])}"


VARIABLES: tuple[str, ...] = tuple(f.alias for f in Settings.model_fields.values() if f.alias)
"""Every variable the agent reads, in the order of the reference; each has a `_FILE` twin."""

_BOOLEANS = {f.alias: f.default for f in Settings.model_fields.values() if f.annotation is bool}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings to run with, and the lines to log about what was odd in them."""

    settings: Settings
    warnings: tuple[str, ...]


def load(environ: Mapping[str, str]) -> Loaded:
    """The settings in `environ`, with `NAME_FILE` read for every NAME and blank values as unset.

    Not errors but warnings: a boolean Go would not read (its default holds), a name that is too
    long (it is cut), and a token file that cannot be read, for a stored token may do.

    Raises:
        SettingsError: anything else the agent cannot start with.
    """
    given: dict[str, Any] = {}
    warnings: list[str] = []
    for name in VARIABLES:
        try:
            text = _given(environ, name)
        except UnreadableFileError as unreadable:
            if name not in _TOKENS:
                raise
            warnings.append(str(unreadable))
            continue
        if text is None:
            continue
        if name in _BOOLEANS and (odd := _odd_boolean(text)):
            warnings.append(
                f"{_source(environ, name)}: {odd}; until then it is {str(_BOOLEANS[name]).lower()}"
            )
            continue
        if name == "AGENT_NAME" and len(text.strip()) > MAX_TEXT:
            warnings.append(
                f"{_source(environ, name)}: cut to {MAX_TEXT} characters, the server takes no "
                "more: write a shorter name"
            )
        given[name] = text
    try:
        return Loaded(Settings(**given), tuple(warnings))
    except ValidationError as invalid:
        # Without `from None` a traceback would show what pydantic knows of the values.
        raise SettingsError(_explained(invalid, environ)) from None


@dataclass(frozen=True, slots=True)
class Credentials:
    """The tokens the operator gives now. Equal if the tokens are; `repr` shows none of them."""

    registration_token: str | None = field(repr=False)
    permanent_token: str | None = field(repr=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """Why a token that was given is None: one line each."""


def read_credentials(environ: Mapping[str, str]) -> Credentials:
    """The tokens as they are now, with their files read again: a secret may have been replaced.

    A file that cannot be read or holds no token gives None and a warning, so that a running agent
    goes on with what it has. Reads at most two small files; it does not wait.
    """
    tokens: list[str | None] = []
    warnings: list[str] = []
    for name in _TOKENS:
        try:
            text = _given(environ, name)
            tokens.append(None if text is None else _token(text))
        except SettingsError as unreadable:
            tokens.append(None)
            warnings.append(str(unreadable))
        except ValueError as invalid:
            tokens.append(None)
            warnings.append(f"{_source(environ, name)}: {invalid}")
    registration_token, permanent_token = tokens
    return Credentials(registration_token, permanent_token, tuple(warnings))


def _given(environ: Mapping[str, str], name: str) -> str | None:
    """What the operator gave for `name`, in the variable or in the file its twin points to."""
    direct, file = environ.get(name, ""), environ.get(f"{name}_FILE", "")
    if direct and file:
        raise SettingsError(f"{name}: {name}_FILE is set too: keep one of the two")
    try:
        text = _read_small(file) if file else direct
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else err
        raise UnreadableFileError(
            f"{name}_FILE: cannot read the file ({reason}): write the path of a readable text file"
        ) from None
    return text if text.strip() else None


def _read_small(path: str) -> str:
    with open(path, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("not a regular file")
        content = file.read(_MAX_FILE_BYTES + 1)
    if len(content) > _MAX_FILE_BYTES:
        raise ValueError("larger than 64 KiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:  # its text would repeat the content
        raise ValueError("not UTF-8") from None
    if "\0" in text:
        raise ValueError("not a text")
    return text.rstrip("\r\n")


def _open_at_once(path: str, flags: int) -> int:
    # Opening a FIFO would otherwise wait for a writer.
    return os.open(path, flags | os.O_NONBLOCK)


def _odd_boolean(text: str) -> str | None:
    try:
        parse_boolean(text)
    except ValueError as odd:
        return str(odd)
    return None


def _source(environ: Mapping[str, str], name: str) -> str:
    """The variable the operator has to look at: `name` or its twin."""
    return f"{name}_FILE" if environ.get(f"{name}_FILE") else name


def _explained(invalid: ValidationError, environ: Mapping[str, str]) -> str:
    """Every error pydantic found, on one line, in words for an operator."""
    problems = []
    for error in invalid.errors(include_url=False, include_input=False):
        name = str(error["loc"][0]) if error["loc"] else None
        match error["type"]:
            case "missing":
                example = f"{name}={_URL_EXAMPLE}"
                problems.append(f"{name}: not set: write the server's address, like {example}")
            case "value_error":
                text = str(error["ctx"]["error"])
                problems.append(f"{_source(environ, name)}: {text}" if name else text)
            case "default_factory_not_called":
                continue  # follows from one of the others
            case unexpected:
                raise AssertionError(f"our validators raise ValueError only, not {unexpected}")
    return "; ".join(problems)
