"""Decides about one installation and its volume."""

from __future__ import annotations

import os

from agent.launcher import cleanup
from agent.launcher.choice import Decision, World, decide
from agent.launcher.inspection import Inspection
from agent.launcher.installation import Installation
from agent.launcher.say import now
from agent.launcher.verdict import Verdict
from agent.launcher.volume import Volume


class Chooser:
    """Remembers what was found out about each release until it is told to forget."""

    def __init__(self, places: Installation, volume: Volume) -> None:
        self._places, self._volume = places, volume
        self._inspection = Inspection(places.keys)
        self._found: dict[str | None, Verdict] = {}

    def decide(self, *, can_count: bool = True) -> Decision:
        """The release to start now. Without a usable volume that is the baked one."""
        world = World(
            baked=self.verdict(None),
            slot=self.verdict,
            ignore_slots=self._volume.directory is None,
            can_count=can_count,
            at=now(),
        )
        return decide(self._volume.state, world)

    def verdict(self, slot: str | None) -> Verdict:
        """What is found in that slot; None: the baked release."""
        if slot not in self._found:
            directory = self.directory(slot)
            self._found[slot] = (
                self._inspection.of_baked(directory)
                if slot is None
                else self._inspection.of_slot(directory, slot)
            )
        return self._found[slot]

    def forget(self) -> None:
        """Every byte is read again before it is run again."""
        self._found.clear()

    def directory(self, slot: str | None) -> str:
        if slot is None or self._volume.directory is None:
            return self._places.baked
        return os.path.join(self._volume.directory, cleanup.SLOTS, slot)
