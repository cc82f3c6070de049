"""Keys and releases."""

from __future__ import annotations

from pathlib import Path

import pytest
from release.workshop import Ceremony, small_release

from agent.release.tree import write_manifest


@pytest.fixture
def ceremony(tmp_path: Path) -> Ceremony:
    return Ceremony(tmp_path / "ceremony")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A release that is described and not yet signed."""
    directory = small_release(tmp_path / "small")
    write_manifest(directory)
    return directory
