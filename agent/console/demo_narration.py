"""What goes over the wire, in sentences for whoever looks on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.console.demo_scene import Tone, Who
from agent.hub.events import read_event
from agent.hub.replies import RequestFailed, read_reply
from agent.hub.shapes import SHORT_ID_LENGTH, Sample

_DETAILS = ("new_name", "new_image")

Frame = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sentence:
    """`who` is its subject."""

    who: Who
    text: str
    tone: Tone = "plain"


def request(frame: Frame, names: Mapping[str, str]) -> str | None:
    """What the server wants of the agent; None: the frame is no request.

    Args:
        names: Of containers, by their short IDs.
    """
    if frame.get("type") not in ("command", "container_operation"):
        return None
    payload = frame.get("payload") or {}
    words = [str(payload.get("action") or frame.get("command"))]
    if frame.get("command") == "deploy_compose":
        words = ["deploy", str(payload.get("project_name")), str(payload.get("action"))]
    elif "container_id" in payload:
        short_id = str(payload["container_id"])[:SHORT_ID_LENGTH]
        words.append(names.get(short_id, short_id))
    words += [f"to {payload[key]}" for key in _DETAILS if payload.get(key)]
    return " ".join(words)


def answer(frame: Frame) -> tuple[str, Tone]:
    """How a request ended."""
    try:
        read_reply(frame)
    except RequestFailed as failed:
        return failed.text, "bad"
    return "done", "plain"


def story(frame: Frame) -> Sentence | None:
    """What an agent says by itself; None: nothing to tell of."""
    payload = frame.get("payload")
    match frame:
        case {"type": "error", "error": str(error)}:
            details = frame.get("details")
            return Sentence("agent", f"complains: {details or error}", "bad")
        case {"type": "event", "command": str(kind)} if isinstance(payload, dict):
            return _event(kind, payload) if kind != "container_event" else _container(frame)
    return None


def usage(sample: Sample) -> str:
    """What a container uses."""
    return f"CPU {sample.cpu_percent:.1f} %, memory {sample.memory_usage / 1e6:.1f} MB"


def _event(kind: str, payload: Frame) -> Sentence | None:
    match kind, payload:
        case "update_progress", {"stage": "failed" | "rollback", "message": message}:
            return Sentence("agent", f"updates: {message}", "bad")
        case "update_progress", {"message": message}:
            return Sentence("agent", f"updates: {message}")
        case "deploy_progress", {"message": message}:
            return Sentence("agent", f"deploys: {message}")
        case "update_complete", {"new_container_id": new_id}:
            return Sentence("server", f"hears: updated, the container is {new_id} now", "good")
        case "deploy_complete", {"success": success, "action": action}:
            how = "succeeded" if success else f"failed: {payload.get('error')}"
            return Sentence("server", f"hears: {action} {how}", "good" if success else "bad")
        case "health_check_result", {"healthy": True}:
            return Sentence("server", f"hears: the page is healthy {_measured(payload)}", "good")
        case "health_check_result", _:
            return Sentence("server", f"hears: the page is unhealthy {_measured(payload)}", "bad")
    return None


def _measured(result: Frame) -> str:
    return f"(status {result.get('status_code')}, {result.get('response_time_ms')} ms)"


def _container(frame: Frame) -> Sentence | None:
    if (event := read_event(frame, 0.0)) is None:
        return None
    text = f"hears: {event['container_name']} {event['effect']}"
    if event["state"] not in (None, event["effect"]):
        text += f" → {event['state']}"
    if event["state"] == "exited":
        text += f" with {event['exit_code']}"
    return Sentence("server", text, "good")
