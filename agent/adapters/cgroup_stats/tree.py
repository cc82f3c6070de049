"""Where the kernel keeps what: the hierarchies of control groups as this process can see them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.core import control_groups
from agent.core.control_groups import UNIFIED, memberships, seen_from, usual_groups

GROUPS_PER_SEARCH = 20_000
"""A host with a thousand containers has some ten thousand groups. Looking for ours must end somewhere."""

NEEDED = "cpuacct"
"""Of version 1's controllers the one there is always, and without which there would be little to tell."""

WANTED = (NEEDED, "memory", "blkio")


@dataclass(frozen=True, slots=True)
class Place:
    """The groups of one container: the directory for each of version 1's controllers, or version 2's, as `UNIFIED`."""

    directories: dict[str, Path]

    @property
    def is_v2(self) -> bool:
        return UNIFIED in self.directories


class Tree:
    """Control groups, and processes.

    Args:
        contained: Whether we run in a container: what matters then are the host's directories, under `/host`.
        own_id: The container we run in, "" natively.
        root: Where the host's directories are; None for the usual place.
    """

    def __init__(self, *, contained: bool, own_id: str = "", root: Path | None = None) -> None:
        root = root or Path("/host" if contained else "/")
        self.proc, self._groups = root / "proc", root / "sys/fs/cgroup"
        self._contained, self._own_id = contained, own_id
        self._known: dict[str, Path] = {}
        self._own_groups: dict[Path, str] = {}

    # What there is

    @property
    def version(self) -> int | None:
        """Of the control groups; None where there are none to be seen. A mixture counts as version 1."""
        hierarchies = self._hierarchies()
        if UNIFIED in hierarchies:
            return 2
        return 1 if NEEDED in hierarchies else None

    def obstacle(self) -> str:
        """Why nothing can be read, and what would help; "" if nothing is in the way."""
        missing = []
        if not (self.proc / "1/cgroup").is_file():
            missing.append((self.proc, "/proc"))
        if self.version is None:
            missing.append((self._groups, "/sys/fs/cgroup"))
        if not missing:
            return ""
        where = " and ".join(str(path) for path, _ in missing)
        if not self._contained:
            return f"there is nothing to be read in {where}"
        mounts = " ".join(f"-v {source}:{path}:ro" for path, source in missing)
        return f"the host's {where} cannot be seen; {mounts} would make it cheaper"

    def total_memory_bytes(self) -> int:
        """What the host has.

        Raises:
            OSError: It cannot be read.
        """
        meminfo = (self.proc / "meminfo").read_bytes()
        return 1024 * int(meminfo.partition(b"MemTotal:")[2].split()[0])

    # Where a container is

    def place(self, pid: int, container_id: str) -> Place:
        """The groups of the container whose first process is `pid`.

        Raises:
            OSError: They cannot be seen; `FileNotFoundError` if this container has no such process.
        """
        paths = memberships((self.proc / str(pid) / "cgroup").read_text())
        found: dict[str, Path] = {}
        for controller, hierarchy in self._hierarchies().items():
            if (path := paths.get(controller)) is not None:
                directory = self._directory(hierarchy, path, container_id)
                if directory is not None:
                    found[controller] = directory
        if UNIFIED not in found and NEEDED not in found:
            raise FileNotFoundError(f"process {pid} is in no control group of {container_id[:12]}")
        return Place(found)

    def _hierarchies(self) -> Mapping[str, Path]:
        """The directory of the hierarchy of each controller that has something to tell."""
        if not self._known:
            self._known = self._look_around()
        return self._known

    def _look_around(self) -> dict[str, Path]:
        if (self._groups / "cgroup.controllers").is_file():
            return {UNIFIED: self._groups}
        try:
            names = [entry.name for entry in self._groups.iterdir()]
        except OSError:
            return {}
        # `cpu,cpuacct` are mounted together, and often linked to by their single names.
        return {
            controller: self._groups / name
            for name in names
            for controller in name.split(",")
            if controller in WANTED
        }

    def _directory(self, hierarchy: Path, path: str, container_id: str) -> Path | None:
        for group in self._candidates(hierarchy, path, container_id):
            if (directory := hierarchy / group).is_dir():
                return directory
        return None

    def _candidates(self, hierarchy: Path, path: str, container_id: str) -> Iterator[str]:
        group = control_groups.group_of(path, container_id)
        if group is None:
            return
        # With a namespace of our own, we are shown the way from our group to that one.
        root = self._own_group(hierarchy) if ".." in group.split("/") else ""
        if (seen := seen_from(root, group)) is not None:
            yield seen
        yield from usual_groups(container_id)

    def _own_group(self, hierarchy: Path) -> str:
        if hierarchy not in self._own_groups:
            self._own_groups[hierarchy] = self._found_own_group(hierarchy)
        return self._own_groups[hierarchy]

    def _found_own_group(self, hierarchy: Path) -> str:
        if not self._own_id:
            return ""
        for group in usual_groups(self._own_id):
            if (hierarchy / group).is_dir():
                return group
        # Somebody chose another place for us.
        for count, (directory, _, _) in enumerate(os.walk(hierarchy)):
            if self._own_id in Path(directory).name:
                return str(Path(directory).relative_to(hierarchy))
            if count == GROUPS_PER_SEARCH:
                break
        return ""
