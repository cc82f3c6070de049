"""Where a native installation has its parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SERVICE = "dockmon-agent"
USER = "dockmon-agent"
ENGINE_GROUP = "docker"

DEFAULT_ROOT = Path("/opt/dockmon-agent")
DEFAULT_DATA = Path("/var/lib/dockmon-agent")


@dataclass(frozen=True, slots=True)
class Places:
    """Paths as the host will see them, and where they are written.

    Attributes:
        root: The installation: launcher, release, keys.
        data: DATA_PATH.
        staged_in: A directory that stands for `/`, for whoever makes a package; None: the host itself.
    """

    root: Path = DEFAULT_ROOT
    data: Path = DEFAULT_DATA
    staged_in: Path | None = None

    @property
    def settings_file(self) -> Path:
        return Path("/etc/dockmon-agent.env")

    @property
    def unit_file(self) -> Path:
        return Path("/etc/systemd/system") / f"{SERVICE}.service"

    def on_disk(self, path: Path) -> Path:
        """Where `path` is written."""
        return path if self.staged_in is None else self.staged_in / path.relative_to("/")
