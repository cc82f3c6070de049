"""What goes back to the server: a frame it can read, and never one that it takes for something else."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import replies
from agent.hub.replies import is_reply

AT = datetime(2026, 1, 1, 1, 2, 3, 456, tzinfo=UTC)
STAMP = "2026-01-01T01:02:03.000456Z"

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_a_command_is_answered_in_an_envelope() -> None:
    """The result is the payload, whatever JSON value it is."""
    assert json.loads(replies.response("c-1", [1, None], AT)) == {
        "type": "response",
        "id": "c-1",
        "payload": [1, None],
        "timestamp": STAMP,
    }


@pytest.mark.parametrize("request_id", ["c-1", '"payload":null', "\\"])
def test_a_payload_that_is_encoded_already(request_id: str) -> None:
    """The reply is the same, to the byte, whatever else is in it."""
    payload = [{"Names": ["/wéb"]}, None, '"payload":null']
    encoded = replies.EncodedJson(replies.encode(payload))
    assert json.loads(replies.response(request_id, encoded, AT)) == {
        "type": "response",
        "id": request_id,
        "payload": payload,
        "timestamp": STAMP,
    }
    assert replies.response(request_id, encoded, AT) == replies.response(request_id, payload, AT)


def test_an_operation_is_answered_flat() -> None:
    """The result's keys stand beside the id."""
    assert json.loads(replies.result("c-1", {"container_id": "4f1c", "status": "started"})) == {
        "correlation_id": "c-1",
        "success": True,
        "container_id": "4f1c",
        "status": "started",
    }


def test_a_result_cannot_take_its_own_envelope_over() -> None:
    """A key of the outcome that means something to the server's matching does not win."""
    outcome = {"correlation_id": "c-2", "success": False}
    assert json.loads(replies.result("c-1", outcome)) == {"correlation_id": "c-1", "success": True}


def test_a_command_is_refused_in_an_envelope() -> None:
    """There is an error and no payload."""
    assert json.loads(replies.refusal("c-1", "no such container", AT, flat=False)) == {
        "type": "response",
        "id": "c-1",
        "error": "no such container",
        "timestamp": STAMP,
    }


def test_an_operation_is_refused_flat() -> None:
    """There is an error beside `success: false`, which alone would count as success."""
    assert json.loads(replies.refusal("c-1", "no such container", AT, flat=True)) == {
        "correlation_id": "c-1",
        "success": False,
        "error": "no such container",
    }


@pytest.mark.parametrize("flat", [False, True])
def test_an_error_is_never_empty(flat: bool) -> None:
    """The server takes an empty one for success."""
    assert json.loads(replies.refusal("c-1", "", AT, flat=flat))["error"]


@pytest.mark.parametrize("flat", [False, True])
def test_an_error_is_never_long(flat: bool) -> None:
    """It is shown to people: its beginning says enough."""
    assert json.loads(replies.refusal("c-1", "e" * 5000, AT, flat=flat))["error"] == "e" * 2000


def test_an_event_is_no_reply() -> None:
    """It has a name and a payload and no key by which the server would match it with a request."""
    event = json.loads(replies.event("container_event", {"id": 1, "correlation_id": 2}, AT))
    assert event == {
        "type": "event",
        "command": "container_event",
        "payload": {"id": 1, "correlation_id": 2},
        "timestamp": STAMP,
    }
    assert not is_reply(event)


def test_an_error_report_is_no_reply() -> None:
    """It has a type of its own; what there is nothing to say about is left out, and nothing is long."""
    report = json.loads(replies.error_report("failed", details="why", container_id="c" * 12))
    assert report == {
        "type": "error",
        "error": "failed",
        "details": "why",
        "container_id": "c" * 12,
    }
    assert not is_reply(report)
    long = json.loads(replies.error_report("e" * 9000, details="d" * 9000))
    assert long == {"type": "error", "error": "e" * 2000, "details": "d" * 2000}


def test_instants_are_told_in_utc() -> None:
    """Whatever zone they come in."""
    cairo = AT.astimezone(timezone(timedelta(hours=2)))
    assert json.loads(replies.event("e", {}, cairo))["timestamp"] == STAMP


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_lacks_is_refused(number: float) -> None:
    """The server would close the connection on it, so it does not leave, however deep it sits."""
    for payload in (number, {"cpu": [number]}, {number: "cpu"}):
        with pytest.raises(ValueError, match="not JSON compliant"):
            replies.response("c-1", payload, AT)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ude00\ud83d"])
def test_what_utf_8_cannot_say_is_replaced(text: str) -> None:
    """Half a surrogate pair, as a file name on Linux may hold one, does not cost the reply."""
    payload = json.loads(replies.response("c-1", text, AT))["payload"]
    assert len(payload) == len(text)
    assert "?" in payload


def test_text_is_sent_as_it_is() -> None:
    """Not as six ASCII characters for each: logs are large enough."""
    assert "größer 🐳".encode() in replies.response("c-1", "größer 🐳", AT)


def test_a_reply_with_room_for_its_envelope_fits() -> None:
    """What a feature may produce and the longest envelope stay under what the server takes."""
    payload = "x" * (replies.MAX_REPLY_BYTES - len('""'))
    assert len(replies.response("i" * 255, payload, AT)) <= replies.MAX_MESSAGE_BYTES


@given(payload=JSON)
def test_every_payload_arrives(payload: Any) -> None:
    """One frame of UTF-8 with one JSON object in it, whatever the payload."""
    decoded = json.loads(replies.response("c-1", payload, AT).decode("utf-8"))
    assert decoded["payload"] == _encodable(payload)
    assert is_reply(decoded)


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [_encodable(item) for item in value]
        case dict():
            return {_encodable(key): _encodable(item) for key, item in value.items()}
        case _:
            return value


def test_many_events_at_once() -> None:
    """Each is what it would have been by itself."""
    payloads = [{"name": "wéb", "used": 1}, {}]
    encoded = [replies.encode(payload) for payload in payloads]
    assert replies.events("container_stats", encoded, AT) == [
        replies.event("container_stats", payload, AT) for payload in payloads
    ]
