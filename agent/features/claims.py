"""Which containers a job is working on, so that nothing else changes them meanwhile."""

from __future__ import annotations

from collections.abc import Iterable

from agent.core.own_container import is_id
from agent.ports import CommandFailed

SHORT_ID_CHARS = 12
"""The server knows containers by this much of their ID."""


class Claims:
    """Containers, by ID or name, each with why it is to be left alone. A job that goes on later claims anew."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[frozenset[str], str]] = {}  # by job: what, why

    def hold(self, job_id: str, containers: Iterable[str], reason: str) -> None:
        """Claims `containers` (IDs of 12 to 64 characters, or names) instead of what the job had claimed before.

        Raises:
            CommandFailed: Another job has one of them, and this one keeps what it had; the text is the other's reason.
        """
        wanted = frozenset(map(_key, containers))
        for holder, (held, why) in self._held.items():
            if holder != job_id and held & wanted:
                raise CommandFailed(why)
        self._held[job_id] = (wanted, reason)

    def release(self, job_id: str) -> None:
        """The job leaves its containers to others. Idempotent."""
        self._held.pop(job_id, None)

    def check(self, container: str) -> None:
        """Returns if nobody works on `container`, an ID or a name.

        Raises:
            CommandFailed: Somebody does; the text is the reason given.
        """
        key = _key(container)
        for held, reason in self._held.values():
            if key in held:
                raise CommandFailed(reason)


def _key(container: str) -> str:
    return container[:SHORT_ID_CHARS] if is_id(container) else container
