"""A container's first process, out of an inspection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.roster import Process

_UNCOUNTED = ("host", "none")
"""The host's network is not the container's, and the engine counts nothing of it; without one there is nothing."""


def process(inspected: Mapping[str, Any]) -> Process | None:
    """The process in `GET /containers/ID/json`; None if it does not run."""
    match inspected:
        case {"State": {"Pid": int(pid)}} if pid > 0:
            return Process(pid, has_network(inspected))
    return None


def has_network(inspected: Mapping[str, Any]) -> bool:
    """Whether the engine counts a network for this container, be it another container's."""
    match inspected:
        case {"Config": {"NetworkDisabled": True}}:
            return False
    return _network_mode(inspected) not in _UNCOUNTED


def network_owner(inspected: Mapping[str, Any]) -> str | None:
    """The container whose network this one shares; None if it has its own, or the host's."""
    kind, _, owner = _network_mode(inspected).partition(":")
    return owner if kind == "container" and owner else None


def _network_mode(inspected: Mapping[str, Any]) -> str:
    match inspected:
        case {"HostConfig": {"NetworkMode": str(mode)}}:
            return mode
    return ""
