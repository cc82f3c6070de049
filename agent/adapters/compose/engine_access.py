"""How Docker's own tools are told to reach the engine that we use, in the way that we do."""

from __future__ import annotations

import ssl
from pathlib import Path

from agent.adapters.engine.endpoint import Endpoint


def engine_env(endpoint: Endpoint) -> dict[str, str]:
    """The environment variables that say where the engine is. TLS files they find by `link_tls_files`."""
    if endpoint.socket_path is not None:
        return {"DOCKER_HOST": endpoint.url}
    scheme, _, address = endpoint.url.partition("://")
    env = {"DOCKER_HOST": f"tcp://{address}"}
    if scheme == "https":
        env["DOCKER_TLS_VERIFY" if endpoint.verify else "DOCKER_TLS"] = "1"
    return env


def link_tls_files(endpoint: Endpoint, directory: Path) -> None:
    """Puts links into their configuration directory, which is where they look for TLS files unless told otherwise.

    They insist on authorities, checked or not; where we have none of our own, the system's are meant.
    """
    if not endpoint.url.startswith("https://"):
        return
    system = ssl.get_default_verify_paths().cafile
    files = {"ca.pem": Path(system)} if system else {}
    if endpoint.cert_path is not None:
        own = {name: endpoint.cert_path.absolute() / name for name in _FILES}
        files |= {name: path for name, path in own.items() if path.exists()}
    for name, path in files.items():
        (directory / name).symlink_to(path)


_FILES = ("ca.pem", "cert.pem", "key.pem")
