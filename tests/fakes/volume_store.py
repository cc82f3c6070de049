"""The volumes of the engine in memory, and who has mounted them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from fakes.box import Box
from fakes.event_ring import EventRing

from agent.clock import utcnow
from agent.core.rfc3339 import rfc3339
from agent.ports import Conflict, Json, NotFound


class VolumeStore:
    """Volumes by name, as dockerd shows them."""

    def __init__(self, ring: EventRing, boxes: Mapping[str, Box]) -> None:
        self.volumes: dict[str, Json] = {}
        self._ring, self._boxes = ring, boxes
        self._anonymous = 0

    def create(self, config: Json) -> Json:
        """One that exists is returned as it is; without a name it gets one of 64 hexadecimal digits."""
        name = config.get("Name") or self._new_name()
        if name not in self.volumes:
            self.volumes[name] = {
                "Name": name,
                "Driver": config.get("Driver") or "local",
                "Mountpoint": f"/var/lib/docker/volumes/{name}/_data",
                "CreatedAt": rfc3339(utcnow())[:19] + "Z",
                "Labels": config.get("Labels"),
                "Options": config.get("DriverOpts"),
                "Scope": "local",
            }
        self._tell("create", name)
        return self.volumes[name]

    def remove(self, name: str, *, force: bool) -> None:
        if name not in self.volumes:
            if force:
                return
            raise NotFound(f"get {name}: no such volume", 404)
        if users := self._users(name):
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]", 409)
        self._delete(name)

    def prune(self) -> Json:
        unused = [name for name in self.volumes if not self._users(name)]
        for name in unused:
            del self.volumes[name]
        self._ring.tell("volume", "prune", "", {"reclaimed": "0"})
        return {"VolumesDeleted": unused, "SpaceReclaimed": 0}

    def settle(self, box: Box) -> None:
        """A new container's mounts, and the volumes that they need."""
        for bind in box.host_config.get("Binds") or ():
            source, target, mode = (*bind.split(":"), "")[:3]
            box.mounts.append(self._bind(source, target, mode))
        for mount in box.host_config.get("Mounts") or ():
            box.mounts.append(self._mount(mount))
        targets = {mount["Destination"] for mount in box.mounts}
        for target in sorted(set(box.config.get("Volumes") or ()) - targets):
            box.mounts.append(self._volume("", target, "", writable=True))

    def remove_anonymous(self, box: Box) -> None:
        """What goes along with a container that removes itself."""
        named = {bind.split(":")[0] for bind in box.host_config.get("Binds") or ()}
        named |= {mount.get("Source") for mount in box.host_config.get("Mounts") or ()}
        for name in box.volume_names():
            if name in self.volumes and name not in named and not self._users(name):
                self._delete(name)

    def _bind(self, source: str, target: str, mode: str) -> Json:
        writable = "ro" not in mode.split(",")
        if not source.startswith("/"):
            return self._volume(source, target, mode, writable=writable)
        return {
            "Type": "bind",
            "Source": source,
            "Destination": target,
            "Mode": mode,
            "RW": writable,
            "Propagation": "rprivate",
        }

    def _mount(self, mount: Json) -> Json:
        writable = not mount.get("ReadOnly")
        if mount["Type"] == "volume":
            return self._volume(mount.get("Source") or "", mount["Target"], "z", writable=writable)
        return {
            "Type": mount["Type"],
            "Source": mount.get("Source") or "",
            "Destination": mount["Target"],
            "Mode": "",
            "RW": writable,
            "Propagation": "",
        }

    def _volume(self, name: str, target: str, mode: str, *, writable: bool) -> Json:
        volume = self.create({"Name": name})
        return {
            "Type": "volume",
            "Name": volume["Name"],
            "Source": volume["Mountpoint"],
            "Destination": target,
            "Driver": volume["Driver"],
            "Mode": mode,
            "RW": writable,
            "Propagation": "",
        }

    def _users(self, name: str) -> list[str]:
        return [box.id for box in self._boxes.values() if name in box.volume_names()]

    def _new_name(self) -> str:
        self._anonymous += 1
        return hashlib.sha256(f"volume {self._anonymous}".encode()).hexdigest()

    def _delete(self, name: str) -> None:
        driver = self.volumes.pop(name)["Driver"]
        self._ring.tell("volume", "destroy", name, {"driver": driver})

    def _tell(self, action: str, name: str) -> None:
        self._ring.tell("volume", action, name, {"driver": self.volumes[name]["Driver"]})
