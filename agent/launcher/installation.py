"""Where things are: the installation, and what the operator set."""

from __future__ import annotations

import os

from agent.launcher.record import Record
from agent.launcher.say import TRUE

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_DATA_PATH = "/data"
ENGINE_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock")
MAX_SETTING_BYTES = 64 * 1024


class Installation(Record):
    """Paths.

    Attributes:
        baked: The release that came with the installation.
        keys: Directory of the root public keys.
        data: DATA_PATH.
        update: The directory on the volume that is the launcher's.
        engine_socket: The Docker engine's unix socket; "" if there is none.
        ignore_slots: AGENT_IGNORE_SLOTS.
    """

    baked: str
    keys: str
    data: str
    update: str
    engine_socket: str
    ignore_slots: bool


def found_from(main_file: str, environ: Mapping[str, str]) -> Installation:
    """The installation whose launcher's `__main__.py` that is."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(main_file)))
    data = setting(environ, "DATA_PATH") or DEFAULT_DATA_PATH
    return Installation(
        baked=os.path.join(root, "release"),
        keys=os.path.join(root, "keys"),
        data=data,
        update=os.path.join(data, "update"),
        engine_socket=_engine_socket(environ),
        ignore_slots=setting(environ, "AGENT_IGNORE_SLOTS") in TRUE,
    )


def setting(environ: Mapping[str, str], name: str) -> str:
    """Its value, or that in the file named by `name`_FILE; "" if neither can be had: the agent says what is wrong."""
    if value := environ.get(name, "").strip():
        return value
    path = environ.get(f"{name}_FILE", "").strip()
    if not path:
        return ""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_SETTING_BYTES).decode().rstrip("\r\n")
    except (OSError, ValueError):
        return ""


def _engine_socket(environ: Mapping[str, str]) -> str:
    host = setting(environ, "DOCKER_HOST").removeprefix("unix://")
    if host:
        return host if host.startswith("/") else ""
    return next((path for path in ENGINE_SOCKETS if os.path.exists(path)), "")
