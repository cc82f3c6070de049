"""Everything the server can ask of this release."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from agent.core.own_container import OwnContainer
from agent.features.inventory import Inventory
from agent.features.logs import get_logs
from agent.features.operations import operations
from agent.ports import Engine, Features

CAPABILITIES = {
    "container_operations": True,
    "container_updates": False,
    "event_streaming": True,
    "stats_collection": False,
    "self_update": False,
    "compose_deployments": False,
    "shell_access": False,
    "multi_env_files": False,
}
"""As reported at registration, before what the host allows is known."""


def catalogue(
    engine: Engine,
    own: OwnContainer | None,
    *,
    detach: Callable[[Coroutine[Any, Any, None], str], None],
) -> Features:
    """The features of an agent that looks after `engine` and runs in the container `own`, or natively (None)."""
    inventory = Inventory(engine)
    return Features(
        commands=[inventory.handler()],
        operations=[*operations(engine, own, detach=detach), get_logs(engine)],
        listeners={},
        notice=inventory.invalidate,
        engine_came_back=inventory.invalidate_all,
    )
