"""What a container event changes."""

from __future__ import annotations

from typing import Any

import pytest

from agent.hub.events import read_event

LONG_ID = "9ab3c1d2e4f5" + "0" * 52


def event(action: str, **payload: Any) -> dict[str, Any]:
    payload = {"container_id": LONG_ID, "container_name": "web", "action": action, **payload}
    return {"type": "event", "command": "container_event", "payload": payload}


@pytest.mark.parametrize(
    ("action", "attributes", "effect", "state"),
    [
        ("start", {}, "started", "running"),
        ("restart", {}, "restarted", "running"),
        ("die", {"exitCode": "0"}, "stopped", "stopped"),
        ("die", {"exitCode": "137"}, "died", "exited"),
        ("die", {"exitCode": "many"}, "stopped", "stopped"),
        ("die", {}, "stopped", "stopped"),
        ("die", None, "stopped", "stopped"),
        ("destroy", {}, "deleted", None),
    ],
)
def test_effects(action: str, attributes: Any, effect: str, state: str | None) -> None:
    """Four actions have one; an exit code that cannot be read is a clean end."""
    read = read_event(event(action, attributes=attributes), at=7.5)
    assert read is not None
    assert (read["effect"], read["state"], read["at"]) == (effect, state, 7.5)
    assert (read["container_id"], read["container_name"]) == ("9ab3c1d2e4f5", "web")


@pytest.mark.parametrize(
    "action",
    [
        "stop",
        "kill",
        "pause",
        "unpause",
        "create",
        "rename",
        "oom",
        "health_status: healthy",
        "exec_start: sh",
    ],
)
def test_everything_else_has_none(action: str) -> None:
    """It need not be sent."""
    assert read_event(event(action), at=0) is None


@pytest.mark.parametrize(
    "frame",
    [
        event("start", container_id="9ab3c1d2e4f"),
        event("start", container_id=None),
        {"type": "event", "command": "container_event", "payload": None},
        {"type": "event", "command": "container_event"},
        {"type": "event", "command": "container_stats", "payload": {"action": "start"}},
        {"type": "heartbeat"},
    ],
)
def test_what_is_no_container_event(frame: dict[str, Any]) -> None:
    """An ID of less than twelve characters drops the event; other frames are none."""
    assert read_event(frame, at=0) is None
