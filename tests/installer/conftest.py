"""The one file, of a small signed release."""

from __future__ import annotations

from pathlib import Path

import pytest
from release.workshop import Ceremony, small_release

from agent.release.packing import native_file
from agent.release.tree import write_manifest


class Publisher:
    """Whoever publishes releases, with keys of their own."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self.ceremony = Ceremony(directory / "keys")

    def release(self, version: str) -> Path:
        directory = small_release(self._directory / version, version)
        write_manifest(directory)
        return self.ceremony.sign(directory)

    def publish(self, version: str) -> Path:
        target = self._directory / f"{version}.pyz"
        return native_file(self.release(version), self.ceremony.trusted, target)


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path / "publisher")
