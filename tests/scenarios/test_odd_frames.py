"""Whatever a server sends, the session lives on, and where an answer is due there is exactly one."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from frozen_loop import FrozenLoop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scenarios.world import World

from agent.core.messages import HealthCheckMessage
from agent.hub.replies import answered_id, is_reply
from agent.hub.requests import ACTIONS, COMMAND_TIMEOUTS_S

LONGEST_S = 3700.0
"""No server waits longer for an answer."""

ASKED = ("command", "container_operation")

CONTAINER = "0123456789ab"

WORDS = st.sampled_from(
    [
        *(
            "container_id",
            "image",
            "config",
            "name",
            "new_name",
            "timeout",
            "force",
            "tail",
            "since",
        ),
        *("session_id", "data", "cols", "rows", "configs", "url", "method", "enabled", "paths"),
        *(
            "project_name",
            "compose_content",
            "deployment_id",
            "new_image",
            "registry_auth",
            "ports",
        ),
        *("network_id", "volume_name", "image_id", "max_wait_seconds", "action", "path", ""),
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from([CONTAINER, "start", "data", "close", "../..", "/etc/passwd", "up", "web:2"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
PAYLOADS = st.dictionaries(WORDS, VALUES, max_size=6)

COMMANDS = st.builds(
    lambda name, payload: {"type": "command", "command": name, "payload": payload},
    st.sampled_from(sorted(COMMAND_TIMEOUTS_S)) | SCALARS,
    PAYLOADS | VALUES,
)
OPERATIONS = st.builds(
    lambda action, payload: {
        "type": "container_operation",
        "payload": {**payload, "action": action} if isinstance(payload, dict) else payload,
    },
    st.sampled_from(sorted(ACTIONS)) | SCALARS,
    PAYLOADS | VALUES,
)
TOLD = st.builds(
    lambda kind, payload: {"type": kind, "payload": payload},
    st.sampled_from(
        ["shell_session", *HealthCheckMessage.model_fields["type"].annotation.__args__]  # type: ignore[union-attr] # a Literal
    ),
    PAYLOADS | VALUES,
)
NOISE = st.one_of(
    st.text(max_size=50),
    st.binary(max_size=50),
    VALUES.map(json.dumps),
    st.sampled_from(
        ["[" * 100_000, '{"type":', "\ud800".encode("utf-8", "surrogatepass"), "nul", "NaN"]
    ),
)
FRAMES = st.lists(st.one_of(COMMANDS, OPERATIONS, TOLD, NOISE), max_size=12)

Frame = dict[str, Any] | str | bytes


@settings(
    max_examples=60,
    deadline=None,  # a busy machine is no fault
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(FRAMES)
@example([{"type": "command"}, {"type": "container_operation"}, {"type": "shell_session"}])
@example([{"type": 7}, {"type": "container_operation", "payload": []}])
@example([{"type": "health_check_configs_sync", "payload": {"configs": [None, {}, []]}}])
def test_any_frames(frames: list[Frame]) -> None:
    """The connection is the same one afterwards, each request was answered once, and the agent still answers."""
    loop = FrozenLoop()
    try:
        loop.run_until_complete(converse(frames))
    finally:
        loop.close()


async def converse(frames: list[Frame]) -> None:
    async with World(poll_s=None) as world:
        world.engine.add("web", running=True)
        world.start()
        host = await world.online()
        due = []
        for number, frame in enumerate(frames):
            if isinstance(frame, dict):
                request_id = f"request-{number}"
                frame = {**frame, "id": request_id, "correlation_id": request_id}
                if frame["type"] in ASKED:
                    due.append(request_id)
            await world.hub.send(host.id, frame)
        assert await world.hub.request(host.id, "list_containers") is not None
        # Less than a connected agent waits for a silent server, as often as it takes.
        for _ in range(int(LONGEST_S // 240)):
            await asyncio.sleep(240)
            await world.hub.request(host.id, "list_containers")
        answers = Counter(
            answered_id(entry.frame)
            for entry in world.hub.journal
            if entry.direction == "in" and is_reply(entry.frame)
        )
        assert host.connections == 1
        assert [(id_, answers[id_]) for id_ in due] == [(id_, 1) for id_ in due]
