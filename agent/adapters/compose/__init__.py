"""The real Docker Compose, as a program that is started for each call."""

from agent.adapters.compose.cli import DockerCompose
from agent.adapters.compose.find import candidates, find_compose

__all__ = ["DockerCompose", "candidates", "find_compose"]
