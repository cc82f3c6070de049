"""What the server says, and what becomes of what nobody can read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.messages import (
    Command,
    ContainerOperation,
    HealthCheckMessage,
    Malformed,
    OperationPayload,
    ShellSession,
    Unknown,
    parse,
)

SECRET = "s3cr3t-value"


def told(**frame: Any) -> object:
    return parse(json.dumps(frame))


# What the server says


def test_a_command() -> None:
    """The server sends its id twice; one is enough."""
    assert told(
        type="command",
        command="remove_image",
        payload={"image_id": "sha256:4f1c", "force": False},
        id="c-1",
        correlation_id="c-1",
    ) == Command(
        type="command",
        id="c-1",
        command="remove_image",
        payload={"image_id": "sha256:4f1c", "force": False},
    )


@pytest.mark.parametrize(
    "frame", [{}, {"payload": None}, {"payload": {}}], ids=["absent", "null", "empty"]
)
def test_a_command_without_a_payload(frame: dict[str, Any]) -> None:
    """`list_containers` comes without the key; a server that sends null or an empty one is understood too."""
    message = told(type="command", command="list_containers", id="c-1", **frame)
    assert isinstance(message, Command)
    assert not message.payload


def test_an_operation() -> None:
    """The payload keeps whatever belongs to the action."""
    message = told(
        type="container_operation",
        payload={"action": "stop", "container_id": "9ab3c1d2e4f5", "timeout": 10},
        id="c-1",
        correlation_id="c-1",
    )
    assert isinstance(message, ContainerOperation)
    assert (message.id, message.payload.action) == ("c-1", "stop")
    assert message.payload.model_dump() == {
        "action": "stop",
        "container_id": "9ab3c1d2e4f5",
        "timeout": 10,
    }


def test_an_operation_may_have_keys_of_any_name() -> None:
    """Not even one that the library underneath uses itself gets lost or in the way."""
    payload = {"action": "x", "model_config": 1, "copy": 2, "__class__": 3, "self": 4}
    message = told(type="container_operation", id="c-1", payload=payload)
    assert isinstance(message, ContainerOperation)
    assert type(message.payload) is OperationPayload
    assert message.payload.model_dump() == payload


def test_shell_traffic() -> None:
    """It has neither an id nor a reply."""
    payload = {"action": "data", "session_id": "s-1", "data": "bHM="}
    assert told(type="shell_session", payload=payload) == ShellSession(
        type="shell_session", payload=payload
    )


@pytest.mark.parametrize(
    "kind", ["health_check_config", "health_check_config_remove", "health_check_configs_sync"]
)
def test_health_check_configuration(kind: str) -> None:
    """Three types, one shape, no reply."""
    message = told(type=kind, payload={"configs": []})
    assert isinstance(message, HealthCheckMessage)
    assert (message.type, message.payload) == (kind, {"configs": []})


def test_what_a_newer_server_adds_is_ignored() -> None:
    """Unknown keys do no harm, and an unknown type is no error."""
    known = {"type": "command", "command": "prune_images", "payload": {}, "id": "c-1"}
    assert told(**known, priority="high") == told(**known)
    assert told(type="settings_push", id="c-1", payload={}) == Unknown("settings_push")


def test_the_name_of_an_unknown_type_is_cut() -> None:
    """It goes into a log line."""
    assert told(type="x" * 1000) == Unknown("x" * 64)


# What nobody can read

MALFORMED = [
    pytest.param(b'{"type": "shell_session"}', "a binary frame", id="binary"),
    pytest.param("", "not JSON: Expecting value: line 1 column 1 (char 0)", id="empty"),
    pytest.param("{", "not JSON: Expecting property name", id="cut off"),
    pytest.param("\ud800", "not JSON: Expecting value", id="half a surrogate pair"),
    pytest.param("[" * 100_000, "not JSON: maximum recursion depth", id="deep array"),
    pytest.param('{"a":' * 100_000, "not JSON: maximum recursion depth", id="deep object"),
    pytest.param('{"n": ' + "9" * 5000 + "}", "not JSON: Exceeds the limit", id="huge integer"),
    pytest.param("null", "not a JSON object", id="null"),
    pytest.param("[]", "not a JSON object", id="array"),
    pytest.param('"command"', "not a JSON object", id="string"),
    pytest.param("1e999", "not a JSON object", id="infinity"),
    pytest.param("{}", "type: a text is required", id="no type"),
    pytest.param('{"type": 5}', "type: a text is required", id="type is a number"),
    pytest.param('{"type": ["command"]}', "type: a text is required", id="type is a list"),
    pytest.param('{"type": "shell_session"}', "payload: Field required", id="shell: no payload"),
    pytest.param(
        '{"type": "health_check_config", "payload": []}',
        "payload: Input should be a valid dictionary",
        id="health check: payload is a list",
    ),
]


@pytest.mark.parametrize(("frame", "reason"), MALFORMED)
def test_a_frame_that_is_no_message(frame: str | bytes, reason: str) -> None:
    """It becomes a value that says why; there is nobody to answer."""
    message = parse(frame)
    assert isinstance(message, Malformed)
    assert message.reason.startswith(reason)
    assert len(message.reason) < 200
    assert message.request_id is None


ANSWERABLE: list[tuple[dict[str, Any], str]] = [
    ({"type": "command"}, "command: Field required"),
    ({"type": "command", "command": ""}, "command: String should have at least 1 character"),
    ({"type": "command", "command": 7}, "command: Input should be a valid string"),
    ({"type": "command", "command": "x", "payload": [1]}, "payload: Input should be a valid"),
    ({"type": "command", "command": "x", "payload": "{}"}, "payload: Input should be a valid"),
    ({"type": "container_operation"}, "payload: Field required"),
    ({"type": "container_operation", "payload": {}}, "payload.action: Field required"),
    ({"type": "container_operation", "payload": {"action": ""}}, "payload.action: String should"),
    ({"type": "container_operation", "payload": {"action": 7}}, "payload.action: Input should be"),
    ({"type": None}, "type: a text is required"),
]


@pytest.mark.parametrize(("frame", "reason"), ANSWERABLE, ids=lambda value: str(value)[:60])
def test_a_request_that_cannot_be_read_can_be_answered(frame: dict[str, Any], reason: str) -> None:
    """There is an id, so the server need not wait for its timeout; operations are answered flat."""
    message = told(**frame, id="c-1")
    assert isinstance(message, Malformed)
    assert message.reason.startswith(reason)
    assert message.request_id == "c-1"
    assert message.flat is (frame["type"] == "container_operation")


@pytest.mark.parametrize(
    ("ids", "request_id"),
    [
        ({"correlation_id": "c-2"}, "c-2"),
        ({"id": 7, "correlation_id": "c-2"}, "c-2"),
        ({"id": "", "correlation_id": "c-2"}, "c-2"),
        ({"id": "i" * 255}, "i" * 255),
        ({"id": "i" * 256}, None),
        ({"id": None}, None),
        ({"id": {"a": "b"}, "correlation_id": []}, None),
        ({}, None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_whom_to_answer(ids: dict[str, Any], request_id: str | None) -> None:
    """Either of the server's two keys will do, if it is a text that a reply can carry."""
    message = told(type="command", command=7, **ids)
    assert isinstance(message, Malformed)
    assert message.request_id == request_id


@pytest.mark.parametrize(
    "frame",
    [
        {"type": {"token": SECRET}},
        {"type": [SECRET]},
        {"type": "command", "command": [SECRET]},
        {"type": "command", "command": "x", "payload": SECRET},
        {"type": "command", "command": "x", "id": {"token": SECRET}},
        {"type": "container_operation", "payload": [SECRET]},
        {"type": "container_operation", "payload": {"action": {"password": SECRET}}},
        {"type": "shell_session", "payload": SECRET},
    ],
    ids=str,
)
def test_a_reason_does_not_repeat_values(frame: dict[str, Any]) -> None:
    """It is logged and sent back; a registry password may be where a name was expected."""
    message = told(**frame)
    assert isinstance(message, Malformed)
    assert SECRET not in repr(message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
KINDS = ["command", "container_operation", "shell_session", "health_check_config"]
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(KINDS) | JSON,
        "id": st.just("c-1") | JSON,
        "command": st.just("list_images") | JSON,
        "payload": st.fixed_dictionaries({"action": JSON}) | JSON,
    },
)


@given(frame=st.text() | st.binary() | JSON.map(json.dumps) | NEARLY.map(json.dumps))
def test_whatever_comes_is_read(frame: str | bytes) -> None:
    """Every frame there can be becomes a message, a reason, or the name of an unknown type."""
    match parse(frame):
        case Malformed(reason):
            assert reason
        case Unknown(kind):
            assert kind not in KINDS
        case Command(id=id) | ContainerOperation(id=id):
            assert id
        case ShellSession(payload=payload) | HealthCheckMessage(payload=payload):
            assert isinstance(payload, dict)
