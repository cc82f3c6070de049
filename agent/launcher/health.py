"""`health`: asks the running agent whether it is alive."""

from __future__ import annotations

import socket

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from collections.abc import Sequence

SOCKETS = (
    "/run/dockmon-agent/health.sock",
    "/run/dockmon-agent.sock",
    "/tmp/dockmon-agent-health.sock",  # noqa: S108 - it is asked, and told nothing
)
"""Where a release answers: the first it could bind."""

DEADLINE_S = 5.0
MAX_ANSWER_BYTES = 64 * 1024


def health(sockets: Sequence[str] = SOCKETS) -> int:
    """Prints one line and returns the exit status: 0 for alive."""
    import json  # this process is gone at once; the one that supervises never asks

    answer = _asked(sockets)
    try:
        found = json.loads(answer) if answer is not None else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        print("no agent answers on this machine")
        return 1
    states = found.get("states")
    shown = ", ".join(f"{k} {v}" for k, v in states.items()) if isinstance(states, dict) else ""
    version = found.get("version")
    if isinstance(version, str):
        shown += f"; release {version}" + (" on trial" if found.get("on_trial") else "")
    print(f"{'alive' if found.get('alive') else 'stalled'}: {shown}")
    return 0 if found.get("alive") else 1


def _asked(sockets: Sequence[str]) -> bytes | None:
    for path in sockets:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(DEADLINE_S)
                client.connect(path)
                with client.makefile("rb") as answer:
                    line = answer.readline(MAX_ANSWER_BYTES)
        except OSError:
            continue
        if line:
            return line
    return None
