"""Installations for tests of the launcher as a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from launcher.machine_room import Room
from launcher.releases import Signer


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Callable[..., Room]]:
    """Makes installations; ends what runs in them afterwards."""
    made: list[Room] = []

    def make(limits: str = "") -> Room:
        path = tmp_path / f"room-{len(made)}"
        path.mkdir()
        made.append(Room(path, Signer(), limits))
        return made[-1]

    yield make
    for room in made:
        room.close()


@pytest.fixture
def room(rooms: Callable[..., Room]) -> Room:
    return rooms()
