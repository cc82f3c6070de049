"""What is reported at registration is what works on this host."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scenarios.world import World

EVERYTHING_BUT_COMPOSE = {
    "container_operations": True,
    "container_updates": True,
    "event_streaming": True,
    "stats_collection": True,
    "shell_access": True,
    "compose_deployments": False,
    "multi_env_files": False,
    "self_update": False,
}


@pytest.mark.parametrize(
    ("forbidden", "missing"),
    [
        (set(), set()),
        ({"exec"}, {"shell_access"}),
        ({"images"}, {"container_updates"}),
        ({"containers"}, {"container_operations", "container_updates"}),
    ],
    ids=["nothing", "exec", "images", "containers"],
)
async def test_what_a_proxy_forbids(forbidden: set[str], missing: set[str]) -> None:
    """Behind a proxy that lets only some requests through to the engine, the server's UI does not offer the others."""
    async with World(poll_s=None) as world:
        world.engine.engine_facts = replace(world.engine.engine_facts, forbids=frozenset(forbidden))
        world.start()
        host = await world.online()
        reported = host.registration["capabilities"]
        assert reported == EVERYTHING_BUT_COMPOSE | dict.fromkeys(missing, False)


async def test_what_is_not_there_says_so() -> None:
    """Asked for all the same, it is an error that names what is missing."""
    async with World(poll_s=None) as world:
        world.start()
        host = await world.online()
        answer = await world.hub.ask(
            host.id,
            "deploy_compose",
            {
                "deployment_id": "d-1",
                "project_name": "paper",
                "compose_content": "services: {web: {image: nginx}}",
                "action": "up",
            },
        )
        assert answer.detail == "Compose deployments are not possible here: not here"
