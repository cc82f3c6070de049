"""What the host offers for updating the agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.core.own_container import OwnContainer
from agent.ports import Launcher, RegistryAuth, Releases


@dataclass(frozen=True, slots=True)
class UpdateTools:
    """It is there only where a launcher started us.

    Attributes:
        releases: Where releases are kept.
        own: The container we run in; None natively.
        repositories: Where images may come from; () for where the running one came from.
        login: Credentials for a registry by its name, "" for Docker Hub; read anew each time.
        why_not: Why nothing can be updated in this container, found out at its start; "" if something can.
    """

    launcher: Launcher
    releases: Releases
    own: OwnContainer | None
    repositories: tuple[str, ...]
    login: Callable[[str], RegistryAuth | None]
    why_not: str = ""
