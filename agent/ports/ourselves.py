"""The host we run on, and ourselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.core.lifecycle import UpdateFailed, UpdateRequest, UpdateStaged, UpdateUnneeded


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

    async def agreed(self, request: UpdateRequest) -> None:
        """Returns when the server may be told that it has begun: what was admitted is staged, or takes its time.

        Raises:
            CommandFailed: It has failed.
        """

    def answered(self, command_id: str) -> None:
        """The server has the reply to this command, whichever it was."""

    def registered(self) -> None:
        """The server has let us in: time to remove what processes before us left."""

    async def follow(self, request: UpdateRequest) -> UpdateStaged | UpdateFailed | UpdateUnneeded:
        """Carries out what was admitted. Cancelled when the link goes: nothing is switched then."""


class AtWork(Protocol):
    """What the agent has under way, for whoever is about to end it."""

    @property
    def follows_engine(self) -> bool:
        """Whether the engine is there and known."""

    async def confirm(self) -> None:
        """Finds out now what has reached the server; it is found out every few seconds anyway."""

    def under_way(self) -> str:
        """What should not be interrupted, for people; "" if nothing is."""

    async def drain(self) -> None:
        """Refuses changes from now on, waits for those under way, delivers what is journalled; each not for ever."""

    def resume(self) -> None:
        """Takes changes again."""


class Beat(Protocol):
    """The watchdog outside the loop."""

    def pulse(self, states: Mapping[str, str]) -> None:
        """Called every few seconds from the runtime's own loop; `states` maps charts to their states."""
