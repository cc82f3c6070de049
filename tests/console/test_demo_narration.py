"""What goes over the wire, in sentences."""

from __future__ import annotations

from typing import Any

import pytest

from agent.console.demo_narration import Sentence, answer, request, story, usage
from agent.hub.shapes import Sample

WEB = "9ab3c1d2e4f5"


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ({"type": "command", "command": "list_images"}, "list_images"),
        (
            {"type": "container_operation", "payload": {"action": "stop", "container_id": WEB}},
            "stop web",
        ),
        (
            {
                "type": "container_operation",
                "payload": {"action": "rename", "container_id": "0" * 12, "new_name": "shop"},
            },
            "rename 000000000000 to shop",
        ),
        (
            {
                "type": "command",
                "command": "update_container",
                "payload": {"container_id": WEB + "0" * 52, "new_image": "nginx:2"},
            },
            "update_container web to nginx:2",
        ),
        (
            {
                "type": "command",
                "command": "deploy_compose",
                "payload": {"project_name": "shop", "action": "up"},
            },
            "deploy shop up",
        ),
        ({"type": "auth_success"}, None),
        ({"type": "shell_session", "payload": {"container_id": WEB}}, None),
    ],
)
def test_requests(frame: dict[str, Any], text: str | None) -> None:
    """What is asked for, by the names of containers that are known; what wants no reply is no request."""
    assert request(frame, {WEB: "web"}) == text


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        ({"type": "response", "id": "1", "payload": {}}, ("done", "plain")),
        ({"type": "response", "id": "1", "error": "no such image"}, ("no such image", "bad")),
    ],
)
def test_answers(frame: dict[str, Any], told: tuple[str, str]) -> None:
    """Done, or the agent's own words."""
    assert answer(frame) == told


def event(kind: str, **payload: Any) -> dict[str, Any]:
    return {"type": "event", "command": kind, "payload": payload}


def container_event(action: str, **attributes: str) -> dict[str, Any]:
    return event(
        "container_event",
        container_id=WEB,
        container_name="web",
        action=action,
        attributes=attributes,
    )


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (container_event("start"), Sentence("server", "hears: web started → running", "good")),
        (container_event("die", exitCode="0"), Sentence("server", "hears: web stopped", "good")),
        (
            container_event("die", exitCode="137"),
            Sentence("server", "hears: web died → exited with 137", "good"),
        ),
        (container_event("destroy"), Sentence("server", "hears: web deleted", "good")),
        (container_event("pause"), None),
        (
            event("update_progress", stage="backup", message="Setting it aside"),
            Sentence("agent", "updates: Setting it aside"),
        ),
        (
            event("update_progress", stage="rollback", message="Putting it back"),
            Sentence("agent", "updates: Putting it back", "bad"),
        ),
        (
            event("update_complete", new_container_id=WEB),
            Sentence("server", f"hears: updated, the container is {WEB} now", "good"),
        ),
        (
            event("deploy_progress", stage="creating", message="web: creating"),
            Sentence("agent", "deploys: web: creating"),
        ),
        (
            event("deploy_complete", success=True, action="up"),
            Sentence("server", "hears: up succeeded", "good"),
        ),
        (
            event("deploy_complete", success=False, action="down", error="no engine"),
            Sentence("server", "hears: down failed: no engine", "bad"),
        ),
        (
            event("health_check_result", healthy=True, status_code=200, response_time_ms=3),
            Sentence("server", "hears: the page is healthy (status 200, 3 ms)", "good"),
        ),
        (
            event("health_check_result", healthy=False, status_code=503, response_time_ms=2),
            Sentence("server", "hears: the page is unhealthy (status 503, 2 ms)", "bad"),
        ),
        (
            {"type": "error", "error": "the update failed", "details": "it is unhealthy"},
            Sentence("agent", "complains: it is unhealthy", "bad"),
        ),
        ({"type": "error", "error": "no engine"}, Sentence("agent", "complains: no engine", "bad")),
        (event("container_stats", container_id=WEB), None),
        ({"type": "event", "command": "update_progress", "payload": None}, None),
        ({"type": "heartbeat"}, None),
    ],
)
def test_what_agents_say_by_themselves(frame: dict[str, Any], sentence: Sentence | None) -> None:
    """One sentence, or none for what comes every few seconds."""
    assert story(frame) == sentence


def test_usage() -> None:
    """The two figures that people ask for, in powers of a thousand."""
    figures = dict.fromkeys(
        ("memory_limit", "network_rx", "network_tx", "disk_read", "disk_write"), 0
    )
    sample = Sample(
        container_id=WEB,
        container_name="web",
        cpu_percent=98.46,
        memory_usage=1_234_567,
        memory_percent=0,
        **figures,
    )
    assert usage(sample) == "CPU 98.5 %, memory 1.2 MB"
