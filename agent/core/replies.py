"""What goes back to the server: replies in its two forms, events, and what to do with those it would not take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from agent.core.rfc3339 import rfc3339

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""The server closes the connection (1009) on anything larger."""

MAX_REPLY_BYTES = MAX_MESSAGE_BYTES - 64 * 1024
"""What a feature may produce; the rest is room for the envelope."""


class EncodedJson(bytes):
    """A JSON value that is encoded already, for `response` to put into its envelope as it stands."""


def encode(message: object) -> bytes:
    """One frame. UTF-8 as the server demands it: what cannot be encoded is replaced, NaN and infinity are refused.

    Raises:
        ValueError: There is a number in it that JSON does not have.
    """
    text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def encode_own(message: object) -> bytes:
    """The same in a sixth of the time, for what we or the engine have made: every number in it is one that JSON has."""
    try:
        return to_json(message)
    except PydanticSerializationError:  # half a character, in somebody's name
        return encode(message)


def response(request_id: str, payload: object, at: datetime) -> bytes:
    """The success reply to a `command`: an envelope around any JSON value."""
    reply = {"type": "response", "id": request_id, "payload": payload, "timestamp": rfc3339(at)}
    if isinstance(payload, EncodedJson):
        head, tail = _around_payload(reply)
        return head + payload + tail
    return encode(reply)


def result(request_id: str, outcome: Mapping[str, Any]) -> bytes:
    """The success reply to a `container_operation`: flat."""
    return encode({**outcome, "correlation_id": request_id, "success": True})


def refusal(request_id: str, error: str, at: datetime, *, flat: bool) -> bytes:
    """The failure reply to either. `error` is never empty: the server takes an empty one for success."""
    error = error[:2000] or "failed without saying why"
    if flat:
        return encode({"correlation_id": request_id, "success": False, "error": error})
    return encode({"type": "response", "id": request_id, "error": error, "timestamp": rfc3339(at)})


def event(name: str, payload: Mapping[str, Any], at: datetime) -> bytes:
    """A fire-and-forget event. It must not carry a correlation id: the server would take it for a reply."""
    return encode({"type": "event", "command": name, "payload": payload, "timestamp": rfc3339(at)})


def events(name: str, payloads: Iterable[bytes], at: datetime) -> list[bytes]:
    """Many of them that happened at the same time, of payloads that are encoded already."""
    envelope = {"type": "event", "command": name, "payload": None, "timestamp": rfc3339(at)}
    head, tail = _around_payload(envelope)
    return [b"%b%b%b" % (head, payload, tail) for payload in payloads]


def error_report(error: str, *, details: str = "", container_id: str = "") -> bytes:
    """An error entry for the host's event log. It is no reply: nobody waits for it."""
    told = {"details": details[:2000], "container_id": container_id}
    about = {key: value for key, value in told.items() if value}
    return encode({"type": "error", "error": error[:2000], **about})


def _around_payload(envelope: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """What comes before the payload of a message, and what comes after it."""
    # In a text the quotes would be escaped, so this is the key.
    head, key, tail = encode({**envelope, "payload": None}).partition(b'"payload":')
    return head + key, tail.removeprefix(b"null")
