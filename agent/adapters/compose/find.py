"""Finds a Docker Compose that can be worked with."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from agent.adapters.compose import process
from agent.adapters.compose.cli import DockerCompose
from agent.adapters.compose.docker_config import sweep
from agent.adapters.compose.output import Output
from agent.adapters.engine.endpoint import Endpoint

PROBE_S = 10.0

_NAME = "docker-compose"
_PLUGINS = (
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
)

log = logging.getLogger("agent.compose")


def candidates(environ: Mapping[str, str]) -> list[str]:
    """Paths where Compose may be, the likeliest first: Docker's plugins, then the package's, then PATH."""
    home = environ.get("HOME")
    plugins = [*([f"{home}/.docker/cli-plugins"] if home else []), *_PLUGINS]
    found = [f"{directory}/{_NAME}" for directory in plugins]
    # The package puts a script beside the interpreter as well, which does not hand on how Compose ended.
    package = importlib.util.find_spec("compose")
    places = (package.submodule_search_locations if package else None) or []
    found += [f"{directory}/{_NAME}" for directory in places]
    found += [
        f"{directory}/{_NAME}" for directory in environ.get("PATH", "").split(":") if directory
    ]
    return [path for path in dict.fromkeys(found) if os.access(path, os.X_OK)]


async def find_compose(
    programs: Iterable[str], endpoint: Endpoint, *, private_dir: Path | None = None
) -> tuple[DockerCompose | None, str]:
    """The first of `programs` that is a Compose we understand, or None and why there is none.

    What an agent that was killed has left in `private_dir` is removed, for it may hold credentials.
    """
    sweep(private_dir)
    why = "Docker Compose is not installed: install its plugin (docker-compose-plugin)"
    for program in programs:
        version, fault = await _probe(program)
        if not fault:
            log.info("Docker Compose %s: %s", version, program)
            return DockerCompose(program, version, endpoint, private_dir=private_dir), ""
        why = f"{program} cannot be used: {fault}"
        log.info("%s", why)
    return None, why


async def _probe(program: str) -> tuple[str, str]:
    """(version, "") or ("", what is wrong with it)."""
    output = Output(lambda _: None)
    try:
        told = await process.run(
            [program, "version", "--short"], env={}, line=output.take, deadline_s=PROBE_S
        )
        # An empty project is an error, to be told with a status and as JSON.
        empty = await process.run(
            [program, "--progress", "json", "--file", "-", "config", "--quiet"],
            env={},
            line=output.take,
            deadline_s=PROBE_S,
        )
    except TimeoutError:
        return "", "it does not answer"
    except (OSError, process.OutputTooLarge):
        return "", "it cannot be run"
    version = told.output.decode("utf-8", "replace").strip().removeprefix("v")
    if told.status or not re.match(r"[2-9]\.|[1-9]\d+\.", version):
        return "", "it is no Docker Compose v2"
    if not empty.status or not output.told_in_json:
        return "", f"version {version} does not report failures as JSON; update it"
    return version, ""
