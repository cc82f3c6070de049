"""The Compose files of the docs."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e.box import Box
from e2e.cli import docker

DOCS = Path(__file__).parents[2] / "docs/start"
COMPOSE = "/usr/local/lib/docker/cli-plugins/docker-compose"


@pytest.mark.parametrize("name", ["compose.yaml", "compose.hardened.yaml"])
async def test_compose_takes_it(box: Box, name: str) -> None:
    """Docker Compose accepts the file with the variables that its first lines name."""
    told = {"DOCKMON_AGENT_IMAGE": box.image, "DOCKMON_URL": box.hub.url, "DOCKER_GID": "999"}
    given = (word for key, value in told.items() for word in ("--env", f"{key}={value}"))
    await docker(
        *("run", "--rm", "--network", "none", *box.labels, "--volume", f"{DOCS}:/docs:ro", *given),
        *("--entrypoint", COMPOSE, box.image, "--file", f"/docs/{name}", "config", "--quiet"),
    )
