"""What a request looks like, and how long the server waits."""

from __future__ import annotations

from typing import Any

import pytest

from agent.hub import requests


@pytest.mark.parametrize(
    ("name", "payload", "kind", "timeout_s"),
    [
        ("list_containers", {}, "command", 30),
        ("prune_images", {}, "command", 120),
        ("remove_image", {}, "command", 60),
        ("update_container", {}, "command", 180),
        ("deploy_compose", {}, "command", 1800),
        ("self_update", {}, "command", 150),
        ("list_networks", {}, "command", 30),
        ("frobnicate", {}, "command", 30),
        ("start", {}, "container_operation", 30),
        ("inspect", {}, "container_operation", 15),
        ("stop", {"timeout": 45}, "container_operation", 65),
        ("stop", {}, "container_operation", 30),
        ("verify_running", {"max_wait_seconds": 60}, "container_operation", 70),
        ("pull_image", {}, "container_operation", 1800),
    ],
)
def test_kinds_and_timeouts(
    name: str, payload: dict[str, Any], kind: requests.Kind, timeout_s: float
) -> None:
    """Each name travels as the server sends it and is waited for as long."""
    assert requests.kind_of(name) == kind
    assert requests.timeout_s(kind, name, payload) == timeout_s


def test_a_name_may_be_both() -> None:
    """Networks can be listed by a command or, in another time, by a container operation."""
    assert requests.timeout_s("command", "list_networks", {}) == 30
    assert requests.timeout_s("container_operation", "list_networks", {}) == 15


def test_a_command_is_framed() -> None:
    """The id twice; a payload always, except for `list_containers`."""
    ids = {"id": "7", "correlation_id": "7"}
    assert requests.frame("command", "list_containers", None, "7") == {
        "type": "command",
        "command": "list_containers",
        **ids,
    }
    assert requests.frame("command", "list_images", None, "7") == {
        "type": "command",
        "command": "list_images",
        "payload": {},
        **ids,
    }


def test_a_container_operation_is_framed() -> None:
    """The action stands in the payload, beside what it acts on."""
    assert requests.frame("container_operation", "stop", {"container_id": "9ab3"}, "7") == {
        "type": "container_operation",
        "payload": {"action": "stop", "container_id": "9ab3"},
        "id": "7",
        "correlation_id": "7",
    }
