"""The end of a deployment, as the server is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.compose.services import ServiceState, complaint, failed

MAX_ERROR_CHARS = 1000


def complete(
    deployment_id: str,
    action: str,
    services: Mapping[str, ServiceState],
    error: str = "",
) -> dict[str, Any]:
    """The payload of `deploy_complete`.

    Args:
        services: The project's containers as they are now.
        error: Why a step failed, which is a failure whatever the services do; "" if none did, and then the services
            decide: all fine (or none there) is a success, some fine a partial one.
    """
    wrong = failed(services)
    reason = error or complaint(services)
    payload: dict[str, Any] = {
        "deployment_id": deployment_id,
        "action": action,
        "success": not reason,
        "partial_success": bool(reason and not error and len(wrong) < len(services)),
        "services": {name: state.payload() for name, state in services.items()},
    }
    if wrong:
        payload["failed_services"] = wrong
    if reason:
        payload["error"] = reason[:MAX_ERROR_CHARS]
    return payload
