"""Whether this release is complete: everything the daemon may load, now or later, can be loaded here."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
import ssl
from collections.abc import Iterator

import agent
from agent import __version__

LATER = ("docker", "httpx", "pydantic_core", "transitions", "websockets", "yaml")
"""Packages that some module of ours loads only when it is needed, or that bring native code."""

_STARTS_WHEN_LOADED = (".__main__", "agent.installer.entry", "agent.release_start")


def fault() -> str:
    """The first thing that is missing, with what is wrong with it; "" if nothing is."""
    for name in (*LATER, *_ours()):
        try:
            importlib.import_module(name)
        # Whatever a module raises when it is loaded, the daemon would meet it as well.
        except Exception as error:
            return f"{name} cannot be loaded: {type(error).__name__}: {error}"
    try:
        from agent.core.chart import Chart  # not before what it needs has been tried

        for chart in Chart.names():
            Chart.load(chart)
        ssl.create_default_context()
        sqlite3.connect(":memory:").close()
    # The same.
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def run() -> int:
    """Prints the version, or what is missing; returns the exit status."""
    if why := fault():
        print(f"dockmon-agent {__version__} is not complete: {why}")
        return 1
    print(f"dockmon-agent {__version__}")
    return 0


def _ours() -> Iterator[str]:
    for module in pkgutil.walk_packages(agent.__path__, "agent."):
        if not module.name.endswith(_STARTS_WHEN_LOADED):
            yield module.name
