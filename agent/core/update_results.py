"""How the server is told what became of an update of the agent."""

from __future__ import annotations

from agent.core.journal import Row
from agent.core.launch import LastResult

_ENDINGS = {
    "rolled_back": "The new release did not prove itself; the one before it runs again",
    "inconclusive": "The new release could not be tried, for the server was not reachable; the one before it runs",
}


def told(result: LastResult, own_id: str, own_name: str) -> list[Row]:
    """The events, to be delivered once. The container is the same afterwards; `own_id` is "" natively."""
    if result.outcome != "updated":
        return [_progress(result.command_id, "failed", _ENDINGS[result.outcome], result.reason)]
    rows = [
        _progress(result.command_id, "complete", f"The agent runs release {result.version}", "")
    ]
    if result.command == "update_container" and own_id:
        payload = {
            "old_container_id": own_id[:12],
            "new_container_id": own_id[:12],
            "container_name": own_name or "dockmon-agent",
        }
        rows.append(Row(f"update_complete:{result.command_id}", payload, kind="update_complete"))
    return rows


def failure(command_id: str, reason: str) -> Row:
    """One that failed after the server had been told that it begins."""
    return _progress(
        command_id, "failed", "The update failed; the release before it goes on", reason
    )


def _progress(command_id: str, stage: str, message: str, error: str) -> Row:
    payload = {"stage": stage, "message": message} | (
        {"error": error or message} if stage == "failed" else {}
    )
    return Row(f"selfupdate:{command_id}", payload, kind="selfupdate_progress")
