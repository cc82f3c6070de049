"""Terminals in containers: what the browser at the other end says, and what it is told."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    TypeAdapter,
    ValidationError,
)

from agent.core.faults import first_fault

REASON_MAX_BYTES = 123
"""What a WebSocket's close frame has room for. The server closes the browser's with an error's text, or not at all."""

COMMAND = ("/bin/sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; fi; exec sh")
"""The shell that people like better where there is one, else the one that is there."""

ENV = {"TERM": "xterm-256color"}

SIDE_MAX = 10_000
"""Columns or rows. Nobody has a larger screen, and the engine takes no more than 16 bits."""


# --- What the server passes on from the browser


def _raw(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("must be base64")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("must be base64") from None


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    session_id: str = Field(min_length=1, max_length=255)


class Start(_Said):
    """A terminal was opened on a container, given by ID (the server cuts it to 12 characters) or name."""

    action: Literal["start"]
    container_id: str = Field(min_length=12, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")


class Typed(_Said):
    """Raw terminal input; base64 on the wire."""

    action: Literal["data"]
    data: Annotated[bytes, BeforeValidator(_raw)] = Field(repr=False)


class Resized(_Said):
    action: Literal["resize"]
    cols: int = Field(ge=1, le=SIDE_MAX)
    rows: int = Field(ge=1, le=SIDE_MAX)


class Closed(_Said):
    """The browser is gone."""

    action: Literal["close"]


Said = Start | Typed | Resized | Closed

_SAID: TypeAdapter[Said] = TypeAdapter(Annotated[Said, Discriminator("action")])


class NotUnderstood(ValueError):
    """A message that is none of the four. The text says what is wrong with it, and quotes nothing of it."""


def said(payload: Mapping[str, Any]) -> Said:
    """Reads the payload of a `shell_session`.

    Raises:
        NotUnderstood: As it says.
    """
    try:
        return _SAID.validate_python(payload)
    except ValidationError as error:
        raise NotUnderstood(first_fault(error, "payload", skip=1)) from None


# --- What it is told: payloads of `shell_data`


def started(session_id: str) -> dict[str, Any]:
    return {"session_id": session_id, "action": "started"}


def output(session_id: str, data: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode("ascii")
    return {"session_id": session_id, "action": "data", "data": encoded}


def closed(session_id: str) -> dict[str, Any]:
    """The server forgets the session and leaves the browser open: print a `notice` before."""
    return {"session_id": session_id, "action": "closed"}


def failed(session_id: str, error: str) -> dict[str, Any]:
    """The browser is closed, and shows `error` as far as there is room for it."""
    return {"session_id": session_id, "action": "error", "error": cut(error)}


def notice(why: str) -> bytes:
    """The last line on a terminal whose process is gone. `why` may be empty."""
    text = f"session closed: {why}" if why else "session closed"
    return f"\r\n[{text}]\r\n".encode()


def cut(text: str, max_bytes: int = REASON_MAX_BYTES) -> str:
    """`text` on one line, and so much of it as takes no more than `max_bytes` in UTF-8, cut between characters."""
    # What has no UTF-8 at all, a lone surrogate, becomes a question mark.
    encoded = " ".join(text.split()).encode("utf-8", "replace")
    if len(encoded) <= max_bytes:
        return encoded.decode()
    dots = "…".encode()
    return (encoded[: max_bytes - len(dots)].decode("utf-8", "ignore")) + "…"
