"""HTTP checks of containers, as the server configures them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from agent.core.faults import first_fault

Json = dict[str, Any]

_CONTAINER_ID = re.compile(r"([0-9a-f]{12})[0-9a-f]{0,52}")
_STATUS_RANGE = re.compile(r"(\d{3})(?:\s*-\s*(\d{3}))?", re.ASCII)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_IN_A_HOST = re.compile(r"[\x00-\x20\x7f]")


class InvalidCheck(Exception):
    """A configuration that cannot be carried out. The text names the key and never repeats a value."""


Headers = tuple[tuple[str, str], ...]
StatusRanges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One check of one container, fit to be carried out.

    Attributes:
        container_id: 12 hexadecimal digits.
        url: Without credentials and fragment.
        headers: Those the user wants sent, and what his credentials became. For the URL's own host only.
        expected: Inclusive ranges of status codes that mean health.
        follow_redirects: Otherwise a redirect is itself the answer.
    """

    container_id: str
    host_id: str
    is_enabled: bool
    url: str = field(repr=False)  # its path or query may be a secret
    method: Literal["GET", "POST", "HEAD"]
    headers: Headers = field(repr=False)
    expected: StatusRanges
    timeout_s: int
    interval_s: int
    follow_redirects: bool
    verify_tls: bool


def container_id(value: object) -> str | None:
    """The 12 digits by which the server knows a container; None if `value` is no container ID."""
    found = _CONTAINER_ID.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found else None


def health_check(config: object) -> HealthCheck:
    """Reads one configuration as the server sends it. A key that is missing or null has its default.

    Raises:
        InvalidCheck: It cannot be carried out as it stands.
    """
    try:
        given = _Config.model_validate(config)
    except ValidationError as error:
        raise InvalidCheck(first_fault(error, "configuration")) from None
    checked_id = container_id(given.container_id)
    if checked_id is None:
        raise InvalidCheck("container_id: must be a container ID")
    parts = _split(given.url)
    authorization = _authorization(given.auth_config_json) or _userinfo(parts)
    return HealthCheck(
        container_id=checked_id,
        host_id=given.host_id,
        is_enabled=given.enabled,
        url=_plain_url(parts),
        method=given.method,
        headers=_headers(given.headers_json, authorization),
        expected=status_ranges(given.expected_status_codes),
        timeout_s=given.timeout_seconds,
        interval_s=given.check_interval_seconds,
        follow_redirects=given.follow_redirects,
        verify_tls=given.verify_ssl,
    )


def status_ranges(text: str) -> StatusRanges:
    """Reads `200-299,301`. What cannot be read is left out; if nothing is left, 200 is expected and nothing else."""
    ranges = []
    for part in text.split(","):
        if (found := _STATUS_RANGE.fullmatch(part.strip())) is not None:
            first, last = int(found[1]), int(found[2] or found[1])
            if first <= last:
                ranges.append((first, last))
    return tuple(ranges) or ((200, 200),)


def _clamped(lowest: int, highest: int) -> Callable[[int], int]:
    return lambda value: min(max(value, lowest), highest)


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


class _Config(BaseModel):
    model_config = ConfigDict(extra="ignore")

    container_id: str
    host_id: str = Field("", max_length=64)
    enabled: bool = True
    url: str = Field(max_length=2048)
    method: Annotated[Literal["GET", "POST", "HEAD"], BeforeValidator(_upper)] = "GET"
    expected_status_codes: str = Field("", max_length=1024)
    timeout_seconds: Annotated[int, AfterValidator(_clamped(5, 60))] = 10
    check_interval_seconds: Annotated[int, AfterValidator(_clamped(10, 3600))] = 60
    follow_redirects: bool = True
    verify_ssl: bool = True
    headers_json: str = Field("", max_length=16_384)
    auth_config_json: str = Field("", max_length=16_384)

    @model_validator(mode="before")
    @classmethod
    def _null_is_default(cls, config: Any) -> Any:
        if not isinstance(config, dict):
            return config
        return {key: value for key, value in config.items() if value is not None}


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port  # raises when it is none
    except ValueError:
        raise InvalidCheck("url: cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise InvalidCheck("url: must begin with http:// or https://")
    if not parts.hostname or _NOT_IN_A_HOST.search(parts.netloc):
        raise InvalidCheck("url: must name a host")
    return parts


def _plain_url(parts: SplitResult) -> str:
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))


def _userinfo(parts: SplitResult) -> str:
    if parts.username is None and parts.password is None:
        return ""
    return _basic(unquote(parts.username or ""), unquote(parts.password or ""))


def _authorization(auth_config_json: str) -> str:
    """The header's value, or "" without credentials."""
    match _object("auth_config_json", auth_config_json):
        case {"type": "basic", "username": str(username), "password": str(password)}:
            return _basic(username, password)
        case {"type": "bearer", "token": str(token)} if not _UNSENDABLE.search(token):
            return f"Bearer {token.strip()}"
        case {"type": None | "" | "none"}:
            return ""
        case {"type": _}:
            raise InvalidCheck(
                "auth_config_json: must be basic with username and password, or bearer with token"
            )
    return ""


def _basic(username: str, password: str) -> str:
    pair = f"{username}:{password}".encode("utf-8", "replace")
    return f"Basic {base64.b64encode(pair).decode()}"


def _headers(headers_json: str, authorization: str) -> Headers:
    headers = _object("headers_json", headers_json)
    if authorization:
        headers = {
            name: value for name, value in headers.items() if name.lower() != "authorization"
        }
        headers["Authorization"] = authorization
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidCheck("headers_json: a name that no header can have")
        if not isinstance(value, str) or _UNSENDABLE.search(value):
            raise InvalidCheck("headers_json: a value must be a text of one line")
    return tuple((name, value.strip()) for name, value in headers.items())


def _object(key: str, text: str) -> Json:
    try:
        value = json.loads(text) if text.strip() else None
    except (ValueError, RecursionError):
        raise InvalidCheck(f"{key}: not JSON") from None
    if value is not None and not isinstance(value, dict):
        raise InvalidCheck(f"{key}: must be a JSON object")
    return value or {}
