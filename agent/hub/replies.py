"""How the server reads a frame: whether it is one at all, which request it answers, and with what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NoReturn

ErrorType = Literal[
    # The agent answered with an error.
    "permission_denied",
    "docker_error",
    "invalid_response",
    "agent_error",
    # The agent did not get to answer.
    "timeout",
    "offline",
    "send_failed",
    "circuit_open",
    "unknown_host",
]


class MalformedFrame(Exception):
    """Not a JSON object in a text frame. The server closes the socket with 1011 for it."""


class RequestFailed(Exception):
    """A request came to nothing; the text is what a user of the UI is shown."""

    def __init__(self, text: str, error_type: ErrorType) -> None:
        super().__init__(text)
        self.text, self.error_type = text, error_type


def parse(message: str | bytes) -> dict[str, Any]:
    """One message of an agent as an object.

    Raises:
        MalformedFrame: It is binary, no JSON, not an object, or JSON that two parsers could read
            differently: NaN, infinities, a key given twice.
    """
    if isinstance(message, bytes):
        raise MalformedFrame("a binary frame")
    try:
        frame = json.loads(
            message, parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates
        )
    except (ValueError, RecursionError) as error:
        raise MalformedFrame(str(error)) from None
    if not isinstance(frame, dict):
        raise MalformedFrame(f"a JSON {type(frame).__name__}, not an object")
    return frame


def is_reply(frame: Mapping[str, object]) -> bool:
    """Whether it counts as an answer. Anything with a `correlation_id` does, even an event."""
    return "correlation_id" in frame or (frame.get("type") == "response" and "id" in frame)


def answered_id(frame: Mapping[str, object]) -> object:
    """The id that a reply claims to answer; anything JSON can say."""
    return frame["correlation_id"] if "correlation_id" in frame else frame["id"]


def read_reply(frame: Mapping[str, object]) -> Any:
    """The result in a matched reply, enveloped or flat.

    `success: false` without an `error` is a success: that is what the server makes of it.

    Raises:
        RequestFailed: A non-empty `error`, or neither `success` nor `payload`.
    """
    if error := frame.get("error"):
        raise RequestFailed(str(error), _error_type(frame))
    if "success" not in frame and "payload" not in frame:
        text = "Invalid response: missing 'success' or 'payload' field"
        raise RequestFailed(text, "invalid_response")
    if "payload" in frame:
        return frame["payload"]
    return frame.get("data", frame)


def _error_type(frame: Mapping[str, object]) -> ErrorType:
    match frame.get("error_type"):
        case "permission_denied" | "docker_error" | "invalid_response" as given:
            return given
        case _:
            return "agent_error" if "success" in frame else "invalid_response"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a finite number")


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError("a key is given twice")
    return found
