"""What to run on the host where an update cannot be done in place."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from agent.core.docker_run import docker_run

_COMPOSE = "com.docker.compose."


def by_hand(own: Mapping[str, Any] | None, image: str) -> str:
    """The commands that do it on the host, quoted for its shell, and what to know about them.

    Never a value of the environment or of a label, for tokens are in there.

    Args:
        own: The inspection of the container we run in; None natively.
    """
    if own is None:
        return "install the new release on the host, as docs/operate/updates.md says"
    labels: dict[str, Any] = (own.get("Config") or {}).get("Labels") or {}
    if any(labels.get(_COMPOSE + key) for key in ("project", "project.working_dir")):
        return _with_compose(labels, image)
    return _with_docker(own, image)


def _with_docker(own: Mapping[str, Any], image: str) -> str:
    # It is renamed first: where the other name is taken, nothing has been stopped yet.
    run = docker_run(own)
    aside = f"{run.name}-old"
    steps = [
        ["docker", "pull", image],
        ["docker", "rename", run.name, aside],
        ["docker", "stop", aside],
        ["docker", "run", "-d", *run.options, image],
        *(["docker", "network", "connect", *words] for words in run.connections),
    ]
    *most, last = ("-e", "--env-file", "--label", *run.unsaid)
    same = f"with the same {', '.join(most)} and {last} as before in front of the image"
    if run.has_arguments:
        same += ", and after it the arguments that were its own"
    if (own.get("HostConfig") or {}).get("AutoRemove"):
        return (
            f"on the host: {_chain(*steps)}, {same}. "
            "The old container is gone as soon as it stops (--rm), and its unnamed volumes with it"
        )
    name, aside = shlex.quote(run.name), shlex.quote(aside)
    return (
        f"on the host: {_chain(*steps)}, {same}. "
        f"As soon as the new one is online: docker rm {aside}, which the engine could start again beside it. "
        f"To go back: docker rm -f {name}; docker rename {aside} {name} && docker start {name}"
    )


def _with_compose(labels: Mapping[str, Any], image: str) -> str:
    def label(key: str) -> str:
        return str(labels.get(_COMPOSE + key) or "")

    directory = label("project.working_dir")
    flags = _compose_flags(
        label("project"),
        directory,
        files=_listed(label("project.config_files")),
        environments=_listed(label("project.environment_file")),
    )
    service = [label("service")] if label("service") else []
    steps = [
        ["docker", "compose", *flags, "pull", *service],
        ["docker", "compose", *flags, "up", "-d", *service],
    ]
    named = f"once the project's files or its environment name the image {image}"
    if directory:
        return f"on the host, {named}: {_chain(['cd', directory], *steps)}"
    return f"on the host, {named}, in the project's directory: {_chain(*steps)}"


def _compose_flags(
    project: str, directory: str, *, files: Sequence[str], environments: Sequence[str]
) -> list[str]:
    known = [] if "-" in files else files  # from standard input, and nobody knows what was in it
    flags = ["-p", project] if project else []
    # Compose takes the first file's directory for the project's.
    if (
        directory
        and known
        and PurePosixPath(directory, known[0]).parent != PurePosixPath(directory)
    ):
        flags += ["--project-directory", directory]
    flags += [word for path in environments for word in ("--env-file", path)]
    return flags + [word for path in known for word in ("-f", path)]


def _listed(paths: str) -> list[str]:
    return [path for path in paths.split(",") if path]


def _chain(*commands: Sequence[str]) -> str:
    """One line for a shell, which stops at the first command that fails."""
    return " && ".join(map(shlex.join, commands))
