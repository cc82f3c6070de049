"""Credentials for the agent's own image, from a file that an operator may replace at any time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from agent.adapters.safe_files import NotRegular, TooLarge, directory, read_file
from agent.core.registry_logins import NoLogins, logins
from agent.ports import RegistryAuth

MAX_BYTES = 256 * 1024

log = logging.getLogger("agent.self_update")


def login_from(
    path: Path | None, learn: Callable[[str], None]
) -> Callable[[str], RegistryAuth | None]:
    """Looks a registry up in a Docker config.json, read anew each time. A file that is no good is warned of.

    Args:
        learn: Told each password before it is used, so that no log ever shows it.
    """

    def login(server: str) -> RegistryAuth | None:
        if path is None:
            return None
        try:
            with directory(PurePosixPath(path.parent)) as (folder, _):
                name = path.name
                content, _ = read_file(folder, name, max_bytes=MAX_BYTES)
            found = logins(content.decode()).get(server)
        except (OSError, NotRegular, TooLarge, UnicodeDecodeError, NoLogins) as error:
            why = error.strerror if isinstance(error, OSError) else error
            log.warning("UPDATE_REGISTRY_AUTH_FILE: %s; the registry is asked without a login", why)
            return None
        if found is None:
            return None
        learn(found.password)
        return RegistryAuth(found.username, found.password, server)

    return login
