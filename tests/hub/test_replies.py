"""How the server reads what an agent writes."""

from __future__ import annotations

from typing import Any

import pytest

from agent.hub.replies import (
    MalformedFrame,
    RequestFailed,
    answered_id,
    is_reply,
    parse,
    read_reply,
)


def test_a_frame_is_one_object() -> None:
    """UTF-8 text, one JSON object."""
    assert parse('{"type": "heartbeat", "name": "Zoë"}') == {"type": "heartbeat", "name": "Zoë"}


@pytest.mark.parametrize(
    "message",
    [
        b'{"type": "heartbeat"}',
        "",
        "{",
        "heartbeat",
        "[]",
        '"text"',
        "null",
        "{} {}",
        '{"cpu_percent": NaN}',
        '{"cpu_percent": -Infinity}',
        '{"a": 1, "a": 1}',
        '{"payload": {"a": 1, "a": 2}}',
        '{"a":' * 100_000,
    ],
    ids=lambda m: repr(m[:20]),
)
def test_anything_else_is_malformed(message: str | bytes) -> None:
    """Binary, no JSON, no object, no plain numbers, a key twice, or nested without end."""
    with pytest.raises(MalformedFrame):
        parse(message)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"correlation_id": "7", "success": True}, (True, "7")),
        ({"type": "response", "id": "7"}, (True, "7")),
        ({"type": "response", "id": "7", "correlation_id": "8"}, (True, "8")),
        ({"type": "event", "command": "container_event", "correlation_id": "7"}, (True, "7")),
        ({"correlation_id": None}, (True, None)),
        ({"type": "response"}, (False, None)),
        ({"type": "event", "id": "7"}, (False, None)),
        ({"type": "heartbeat"}, (False, None)),
    ],
)
def test_what_counts_as_a_reply(frame: dict[str, Any], expected: tuple[bool, object]) -> None:
    """Anything with a correlation_id, which swallows an event; else a response with an id."""
    counts = is_reply(frame)
    assert (counts, answered_id(frame) if counts else None) == expected


@pytest.mark.parametrize(
    ("frame", "result"),
    [
        ({"type": "response", "payload": [1]}, [1]),
        ({"type": "response", "payload": None}, None),
        ({"success": True, "payload": {"a": 1}, "data": 2}, {"a": 1}),
        ({"success": True, "data": [2]}, [2]),
        ({"success": True, "logs": "x"}, {"success": True, "logs": "x"}),
        ({"success": False}, {"success": False}),
        ({"success": True, "error": ""}, {"success": True, "error": ""}),
        ({"success": True, "error": None}, {"success": True, "error": None}),
    ],
)
def test_a_success(frame: dict[str, Any], result: object) -> None:
    """The payload, else the data, else all of it. `success: false` alone is no failure."""
    assert read_reply(frame) == result


@pytest.mark.parametrize(
    ("frame", "text", "error_type"),
    [
        ({"success": False, "error": "No such container: 4f1c"}, None, "agent_error"),
        ({"success": True, "error": "even so"}, None, "agent_error"),
        ({"payload": {}, "error": "unknown command: x"}, None, "invalid_response"),
        ({"error": "x", "error_type": "permission_denied"}, None, "permission_denied"),
        ({"error": "x", "error_type": "docker_error", "success": False}, None, "docker_error"),
        ({"error": "x", "error_type": "of my own", "success": False}, None, "agent_error"),
        (
            {"data": []},
            "Invalid response: missing 'success' or 'payload' field",
            "invalid_response",
        ),
        ({}, "Invalid response: missing 'success' or 'payload' field", "invalid_response"),
    ],
)
def test_a_failure(frame: dict[str, Any], text: str | None, error_type: str) -> None:
    """A non-empty error, whatever else is there, or neither success nor payload."""
    with pytest.raises(RequestFailed) as failed:
        read_reply(frame)
    assert (failed.value.text, failed.value.error_type) == (text or frame["error"], error_type)
