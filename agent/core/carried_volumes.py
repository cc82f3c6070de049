"""Anonymous volumes: the engine would give a new container empty ones."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

Json = dict[str, Any]


def carry_volumes(host: Json, mounts: list[Json]) -> None:
    """Has `host` ask by name for every volume that the container has and that it does not ask for by name yet.

    A volume may be unnamed in four places: `Config.Volumes`, a bind that is only a path, a mount without a source, and
    `VolumesFrom`, whose volume belongs to another container and stays what it is. The first and the last are overridden
    by a mount at the same path, and stay.

    Args:
        host: `HostConfig`, changed in place.
        mounts: `Mounts` as inspected: what really is where.
    """
    volumes = {
        _path(mount.get("Destination")): mount
        for mount in mounts
        if mount.get("Type") == "volume" and mount.get("Name")
    }
    binds = [bind for bind in host.get("Binds") or () if ":" in bind or _path(bind) not in volumes]
    asked = [_named(mount, volumes) for mount in host.get("Mounts") or ()]
    taken = {_path(bind.split(":")[1]) for bind in binds if ":" in bind}
    taken |= {_path(mount.get("Target")) for mount in asked}
    asked += [_mount(volume) for path, volume in volumes.items() if path not in taken]
    if host.get("Binds"):
        host["Binds"] = binds
    if asked:
        host["Mounts"] = asked


def _named(mount: Json, volumes: dict[str, Json]) -> Json:
    volume = volumes.get(_path(mount.get("Target")))
    if mount.get("Type") != "volume" or mount.get("Source") or volume is None:
        return mount
    return mount | {"Source": volume["Name"]}


def _mount(volume: Json) -> Json:
    # A mount and no bind: those are split at colons, which a path may have.
    mount = {"Type": "volume", "Source": volume["Name"], "Target": volume["Destination"]}
    if volume.get("RW") is False:
        mount["ReadOnly"] = True
    if "nocopy" in str(volume.get("Mode")).split(","):
        mount["VolumeOptions"] = {"NoCopy": True}
    return mount


def _path(path: object) -> str:
    return str(PurePosixPath(str(path)))
