"""The fault points of an image under test: what there are, and how one is armed in a running container."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from e2e.patience import until

AGENT = Path(__file__).parents[2] / "agent"


def points() -> set[str]:
    """Every `fault("…")` in the source."""
    sources = (path.read_text() for path in AGENT.rglob("*.py"))
    return {name for source in sources for name in re.findall(r'\bfault\("([^"]+)"\)', source)}


class Faults:
    """A directory that a container has at /faults; `armed_faults.py` in it looks there."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        directory.chmod(0o777)
        self._arm, self._held = directory / "arm", directory / "held"
        self.flags = ("--volume", f"{directory}:/faults")

    def arm(self, point: str) -> None:
        """The next process that comes to `point` is held there; `point:3`: when it is there for the third time."""
        self._held.unlink(missing_ok=True)
        new = self._arm.with_name("new")
        new.write_text(point)
        new.chmod(0o666)
        new.replace(self._arm)

    def disarm(self) -> None:
        self._arm.unlink(missing_ok=True)

    async def held(self, asking: asyncio.Task[Any] | None = None) -> None:
        """Waits until a process is held.

        Args:
            asking: The request that leads there; what it was answered is told if nothing came.
        """

        async def is_held() -> bool:
            return self._held.exists()

        point = self._arm.read_text() if self._arm.exists() else "the point"
        try:
            await until(f"{point} was reached", is_held, within_s=90)
        except AssertionError as never:
            if asking is not None and asking.done() and not asking.cancelled():
                never.add_note(f"the reply: {asking.exception() or asking.result()}")
            raise
