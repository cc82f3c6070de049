"""Which container we are, from what the kernel and Docker leave lying around in one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

_FILES = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}
"""What an engine mounts into each container from its own directory of it, whatever the control groups look like."""

_MOUNTED = re.compile(r"/(?:overlay-)?containers/([0-9a-f]{64})/")
_GROUP = re.compile(r"(?:/docker/|/docker-|/libpod-)([0-9a-f]{64})(?=\.scope|/|$)")
_SHORT_ID = re.compile(r"[0-9a-f]{12}")
_REFERENCE = re.compile(r"[0-9a-f]{12,64}")


@dataclass(frozen=True, slots=True)
class OwnContainer:
    """The container this process runs in. `id` has 64 characters, or 12 where the engine could not be asked."""

    id: str

    def is_meant_by(self, reference: str) -> bool:
        """Whether `reference`, an ID of 12 to 64 characters, is ours."""
        return self.id.startswith(reference) or reference.startswith(self.id)


def is_id(reference: str) -> bool:
    """Whether `reference` is an ID, or the beginning of one, rather than a name."""
    return _REFERENCE.fullmatch(reference) is not None


def no_volume(own: Mapping[str, Any], directory: str) -> str:
    """Why what is kept in `directory` would not outlive the container; "" if it would, or if that is not known.

    Args:
        own: The container's inspection, as the Engine API gives it; empty: it is not known, or there is none.
    """
    if not own:
        return ""
    mounts = {PurePosixPath(str(mount.get("Destination"))) for mount in own.get("Mounts") or ()}
    path = PurePosixPath(directory)
    if mounts.intersection((path, *path.parents)):
        return ""
    where = path.parent
    return (
        f"no volume is mounted at {where}: what is kept there goes with the container; "
        f"give it one with -v dockmon-agent-data:{where}"
    )


def candidates(*, mountinfo: str, cgroup: str, hostname: str) -> list[str]:
    """IDs that may be ours, the likeliest first; to be verified by asking the engine.

    Args:
        mountinfo: `/proc/self/mountinfo`. Also right in a control group namespace of our own.
        cgroup: `/proc/self/cgroup`.
        hostname: The container's short ID unless somebody chose another name: proves nothing by itself.
    """
    found = [*_mounted(mountinfo), *_grouped(cgroup)]
    short = hostname[:12]
    if _SHORT_ID.fullmatch(short) and not any(each.startswith(short) for each in found):
        found.append(short)
    return list(dict.fromkeys(found))


def _mounted(mountinfo: str) -> list[str]:
    found = []
    for line in mountinfo.splitlines():
        # ID, parent, device, root, mount point, ...: proc(5). A host sees other containers' mounts, elsewhere.
        fields = line.split(" ")
        if len(fields) > 4 and fields[4] in _FILES and (match := _MOUNTED.search(fields[3])):
            found.append(match[1])
    return found


def _grouped(cgroup: str) -> list[str]:
    # The innermost: an engine may itself run in a container.
    return [ids[-1] for line in cgroup.splitlines() if (ids := _GROUP.findall(line))]
