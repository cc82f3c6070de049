"""The host we run on, and ourselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.core.lifecycle import UpdateFailed, UpdateRequest, UpdateStaged


@dataclass(frozen=True, slots=True)
class HostLook:
    """What the operating system tells about the host. Empty: not told.

    `addresses` are the host's own IP addresses, without those of container networks.
    """

    name: str = ""
    machine: str = ""
    addresses: tuple[str, ...] = ()


class Host(Protocol):
    """The machine we run on, or whose `/proc` we were given."""

    def look(self, *, container_subnets: Sequence[str]) -> HostLook:
        """Reads a few small files. Never raises: what cannot be read is not told."""


class SelfUpdate(Protocol):
    """Replaces the release that runs next."""

    @property
    def available(self) -> bool:
        """Whether it can work on this host at all; reported at registration."""

    async def admit(self, request: UpdateRequest) -> None:
        """Returns if the update can begin.

        Raises:
            CommandFailed: It cannot; the text says why and what to do by hand.
        """

    async def follow(self, request: UpdateRequest) -> UpdateStaged | UpdateFailed:
        """Carries out what was admitted. Cancelled when the link goes: nothing is switched then."""


class Beat(Protocol):
    """The watchdog outside the loop."""

    def pulse(self, states: Mapping[str, str]) -> None:
        """Called every few seconds from the runtime's own loop; `states` maps charts to their states."""
