"""Releases of the agent: where they are kept, where they come from, and who starts them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from agent.core.launch import Launch


class ReleaseRefused(Exception):
    """A release is not taken, or cannot be kept. The text is for users.

    `needs_recreation`: it may be good, but it takes another container, not another slot.
    """

    def __init__(self, text: str, *, needs_recreation: bool = False) -> None:
        super().__init__(text)
        self.needs_recreation = needs_recreation


class LauncherSilent(Exception):
    """The launcher gave no answer: what it did is not known."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a release is, by its signed manifest."""

    build_id: str
    version: str


@dataclass(frozen=True, slots=True)
class Switch:
    """What the launcher is asked for. Within `deadline_s` the new release has to register, or it is taken back."""

    build_id: str
    version: str
    command_id: str
    command: str
    needs_engine: bool
    deadline_s: int = 90


class Launcher(Protocol):
    """Who started us, and starts whoever comes next."""

    @property
    def launch(self) -> Launch: ...

    def registered(self) -> None:
        """This release has proved itself. On trial this is what keeps it."""

    def reported(self, command_id: str) -> None:
        """The result of that update is on its way to the server for good."""

    async def switch(self, switch: Switch, *, deadline_s: float) -> str:
        """Has it put on trial once we have ended: "", or why not. Raises `LauncherSilent`."""


class Releases(Protocol):
    """The releases on the volume. A staging is where one arrives; a slot is a complete one, named after its content.

    Every call that is awaited raises `ReleaseRefused` where the volume does not take part.
    """

    @property
    def platform(self) -> str:
        """What a release has to be made for, such as `linux/amd64`."""

    async def obstacle(self) -> str:
        """Why no release can be kept here, the host being set up as it is, and what to change; "" if one can."""

    async def shortage(self) -> str:
        """What there is too little of just now, and what to do about it; "" if there is enough."""

    async def begin(self) -> str:
        """A new, empty staging. All others are removed."""

    def unpack(self, staging: str, chunks: Iterator[bytes]) -> None:
        """Writes a tar stream's only directory into it. For a thread: it blocks. Raises `ReleaseRefused`."""

    async def fetch(self, staging: str, url: str, checksum: str, *, deadline_s: float) -> None:
        """Downloads a release file into it. `checksum` is its SHA-256 in hex."""

    async def verify(self, staging: str) -> Release:
        """Compares every file with the signed manifest, both ways."""

    async def install(self, staging: str, build_id: str) -> bool:
        """Makes it durable as a slot; returns whether that was there before."""

    async def self_check(self, build_id: str, *, deadline_s: float) -> None:
        """Has it load everything it may need, in a process of its own."""

    async def discard(self, build_id: str = "") -> None:
        """Removes every staging, and that slot if one is named."""
