"""Shell messages: what is understood, what is told, and what fits into a close frame."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.shell import (
    REASON_MAX_BYTES,
    Closed,
    NotUnderstood,
    Resized,
    Start,
    Typed,
    closed,
    cut,
    failed,
    notice,
    output,
    said,
    started,
)

ID = "5f0c6a2e-9d1b-4a7e-8b34-0c4f1d2e3a5b"
WEB = "aaaaaaaaaaaa"


@pytest.mark.parametrize(
    ("payload", "understood"),
    [
        (
            {"action": "start", "container_id": WEB, "session_id": ID},
            Start(action="start", container_id=WEB, session_id=ID),
        ),
        (
            {"action": "data", "session_id": ID, "data": "bHMgLWwK"},
            Typed.model_construct(action="data", session_id=ID, data=b"ls -l\n"),
        ),
        (
            {"action": "data", "session_id": ID, "data": ""},
            Typed.model_construct(action="data", session_id=ID, data=b""),
        ),
        (
            {"action": "resize", "session_id": ID, "cols": 132, "rows": 50},
            Resized(action="resize", session_id=ID, cols=132, rows=50),
        ),
        (
            {"action": "close", "session_id": ID, "why": "a newer server's"},
            Closed(action="close", session_id=ID),
        ),
    ],
)
def test_what_is_understood(payload: dict[str, Any], understood: object) -> None:
    """The four messages; keys that a newer server adds are ignored."""
    assert said(payload) == understood


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        ({}, "payload: Unable to extract tag using discriminator 'action'"),
        ({"action": "sing", "session_id": ID}, "payload: Input tag 'sing'"),
        ({"action": "close"}, "session_id: Field required"),
        ({"action": "close", "session_id": ""}, "session_id: String should have at least 1"),
        ({"action": "start", "session_id": ID}, "container_id: Field required"),
        ({"action": "start", "session_id": ID, "container_id": "../../etc/pw"}, "container_id: "),
        ({"action": "data", "session_id": ID, "data": "no base64!"}, "data: .*must be base64"),
        ({"action": "data", "session_id": ID, "data": None}, "data: .*must be base64"),
        ({"action": "resize", "session_id": ID, "cols": 0, "rows": 24}, "cols: "),
        ({"action": "resize", "session_id": ID, "cols": 80, "rows": -1}, "rows: "),
        ({"action": "resize", "session_id": ID, "cols": 1 << 16, "rows": 24}, "cols: "),
        ({"action": "resize", "session_id": ID, "cols": True, "rows": 24}, "cols: "),
    ],
)
def test_what_is_not(payload: dict[str, Any], fault: str) -> None:
    """The fault is named, for a line in the log."""
    with pytest.raises(NotUnderstood, match=f"^{fault}"):
        said(payload)


def test_what_was_typed_stays_private() -> None:
    """Passwords are typed: neither a message's repr nor a fault repeats input."""
    payload = {"action": "data", "session_id": ID, "data": base64.b64encode(b"hunter2!").decode()}
    assert "hunter2" not in repr(said(payload))
    with pytest.raises(NotUnderstood) as refused:
        said({"action": "data", "session_id": ID, "data": "hunter2!"})
    assert "hunter2" not in str(refused.value)


def test_what_is_told() -> None:
    """The four payloads of `shell_data`."""
    assert started(ID) == {"session_id": ID, "action": "started"}
    assert output(ID, b"\x1b[6n\xff") == {"session_id": ID, "action": "data", "data": "G1s2bv8="}
    assert closed(ID) == {"session_id": ID, "action": "closed"}
    assert failed(ID, "no such\ncontainer") == {
        "session_id": ID,
        "action": "error",
        "error": "no such container",
    }


def test_a_notice() -> None:
    """On a line of its own, wherever the cursor was."""
    assert notice("exit code 130") == b"\r\n[session closed: exit code 130]\r\n"
    assert notice("") == b"\r\n[session closed]\r\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("short", "short"),
        ("x" * 123, "x" * 123),
        ("x" * 124, "x" * 120 + "…"),
        ("é" * 61 + "x", "é" * 61 + "x"),
        ("é" * 62, "é" * 60 + "…"),
        ("x" + "🐳" * 31, "x" + "🐳" * 29 + "…"),
        ("a lone \ud800", "a lone ?"),
    ],
)
def test_an_error_fits_into_a_close_frame(text: str, told: str) -> None:
    """123 bytes of UTF-8, cut between characters: one byte more, and the browser would not be closed at all."""
    assert cut(text) == told
    assert len(told.encode()) <= REASON_MAX_BYTES


@given(st.text(), st.integers(min_value=3, max_value=200))
def test_any_text_cut_anywhere(text: str, max_bytes: int) -> None:
    """It always fits, always is UTF-8, and begins as the text did."""
    told = cut(text, max_bytes)
    assert len(told.encode("utf-8")) <= max_bytes
    whole = cut(text, 10_000)
    assert told == whole or whole.startswith(told.removesuffix("…"))
