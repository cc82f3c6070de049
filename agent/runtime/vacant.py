"""A resource that a chart names and this release has nothing to put into."""

from __future__ import annotations

from agent.ports import Scope


class Vacant:
    """Holds nothing. The capability it stands for is reported false at registration."""

    def acquire(self, scope: Scope) -> None: ...

    async def release(self) -> None: ...

    def abort(self) -> None: ...
