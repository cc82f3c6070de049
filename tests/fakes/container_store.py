"""The containers of the engine in memory: from create to destroy, with the events dockerd tells of each step."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
from collections.abc import Callable
from functools import partial

from fakes.box import Box
from fakes.event_ring import EventRing
from fakes.image_store import ImageStore, merged
from fakes.network_store import NetworkStore
from fakes.volume_store import VolumeStore

from agent.clock import utcnow
from agent.core.rfc3339 import rfc3339
from agent.ports import Conflict, EngineRefused, Json, NotFound

SIGKILLED, SIGTERMED = 137, 143

RESTART_FIRST_S, RESTART_MOST_S = 0.1, 60.0
"""dockerd's pauses before it restarts a container: they double, and begin anew after a run of `STEADY_S`."""
STEADY_S = 10.0


class ContainerStore:
    def __init__(
        self,
        ring: EventRing,
        boxes: dict[str, Box],
        images: ImageStore,
        networks: NetworkStore,
        volumes: VolumeStore,
    ) -> None:
        self._ring, self._boxes = ring, boxes
        self._images, self._networks, self._volumes = images, networks, volumes
        self._count = 0

    def find(self, reference: str) -> Box:
        if reference in self._boxes:
            return self._boxes[reference]
        for box in self._boxes.values():
            if box.name == reference:
                return box
        for box in self._boxes.values():
            if box.id.startswith(reference):
                return box
        raise NotFound(f"No such container: {reference}", 404)

    def emit(self, action: str, box: Box, **attributes: str) -> None:
        labels = box.config.get("Labels") or {}
        told = {**labels, "image": box.image, "name": box.name, **attributes}
        self._ring.tell("container", action, box.id, told)

    # What a client asks for

    def create(self, config: Json, name: str | None) -> Box:
        """A container from the Engine API's own body; no event tells of it."""
        image = self._images.find(str(config["Image"]))
        if name is not None:
            self._claim(name)
        host_config = copy.deepcopy(config.get("HostConfig") or {})
        requested = (config.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
        self._refuse_options(config, host_config, requested)
        own = {
            key: item
            for key, item in config.items()
            if key not in ("HostConfig", "NetworkingConfig")
        }
        box = self._new_box(name, merged(own, image.recipe.config), image.id)
        box.host_config = {"NetworkMode": "default", "AutoRemove": False, **host_config}
        if box.network_mode.startswith("container:"):
            box.host_config["NetworkMode"] = self._resolved(box.network_mode)
        self._volumes.settle(box)
        self._networks.settle(box, requested)
        self._boxes[box.id] = box
        return box

    def start(self, box: Box) -> None:
        """A client's start: what was counted of restarts is forgotten."""
        box.restart_count = 0
        self._start(box)

    def stop(self, box: Box) -> None:
        if not self._gives_up_restarting(box):
            self.emit("kill", box, signal="15")
            self._ended(box, SIGTERMED)
            self.emit("stop", box)
            self._remove_itself(box)

    def restart(self, box: Box) -> None:
        if box.running and not self._gives_up_restarting(box):
            self.emit("kill", box, signal="15")
            self._ended(box, SIGTERMED)
            self.emit("stop", box)
        self.start(box)
        self.emit("restart", box)

    def kill(self, box: Box) -> None:
        if not self._gives_up_restarting(box):
            self.emit("kill", box, signal="9")
            self._ended(box, SIGKILLED)
            self._remove_itself(box)

    def rename(self, box: Box, new_name: str) -> None:
        if box.name == new_name:
            raise EngineRefused("Renaming a container with the same name as its current", 400)
        self._claim(new_name)
        if box.restarting:
            raise EngineRefused("sandbox 0a1b2c not found", 500)
        old, box.name = box.name, new_name
        self.emit("rename", box, oldName=f"/{old}")

    def remove(self, box: Box, *, force: bool) -> None:
        if box.running and not force:
            state = "restarting" if box.restarting else "running"
            raise Conflict(
                f"You cannot remove a {state} container {box.id}. "
                "Stop the container before attempting removal or force remove",
                409,
            )
        if box.running and not self._gives_up_restarting(box):
            self.emit("kill", box, signal="9")
            self._ended(box, SIGKILLED)
        del self._boxes[box.id]
        self.emit("destroy", box)

    # What happens by itself

    def dies(self, box: Box, exit_code: int) -> None:
        """Its process ends, and no restart policy minds."""
        self._ended(box, exit_code)
        self._remove_itself(box)

    def ends(self, box: Box, exit_code: int) -> None:
        box.running = box.restarting = box.paused = False
        box.exit_code, box.finished_at = exit_code, rfc3339(utcnow())

    def starts_unseen(self, box: Box) -> None:
        box.running, box.restarting, box.runs = True, False, box.runs + 1
        box.started_at, box.exit_code, box.error = rfc3339(utcnow()), 0, ""
        self._set_timers(box)

    def _set_timers(self, box: Box) -> None:
        recipe = self._images.recipe(box.image_id)
        if recipe.health:
            box.health = "starting"
        for after_s, health in recipe.health:
            self._later(box, after_s, partial(self._becomes, box, health))
        if recipe.dies_after_s is not None:
            code, after_s = recipe.exit_code, recipe.dies_after_s
            self._later(box, after_s, lambda: self._dies_by_itself(box, code, after_s))

    def _later(self, box: Box, after_s: float, happen: Callable[[], None]) -> None:
        """Unless this run of the container is over by then."""
        run = box.runs

        def now() -> None:
            if box.runs == run and box.running and box.id in self._boxes:
                happen()

        asyncio.get_running_loop().call_later(after_s, now)

    def _becomes(self, box: Box, health: str) -> None:
        box.health = health
        self.emit(f"health_status: {health}", box)

    def _dies_by_itself(self, box: Box, exit_code: int, ran_s: float) -> None:
        again = box.restarts_after(exit_code) and not self._ring.muted
        self._ended(box, exit_code)
        if not again:
            self._remove_itself(box)
            return
        box.running = box.restarting = True
        earlier = 0 if ran_s > STEADY_S else box.restart_count
        box.restart_count += 1
        pause_s = min(RESTART_FIRST_S * 2.0**earlier, RESTART_MOST_S)
        self._later(box, pause_s, lambda: self._start_again(box))

    def _start_again(self, box: Box) -> None:
        with contextlib.suppress(EngineRefused):  # dockerd logs it and gives up
            self._start(box)

    def _gives_up_restarting(self, box: Box) -> bool:
        """Whether there was no process to end, only a restart to come, which does not come now."""
        was_restarting = box.restarting
        if was_restarting:
            box.running = box.restarting = False
        return was_restarting

    def _start(self, box: Box) -> None:
        try:
            self._refuse_start(box)
            self._networks.join_all(box)
        except EngineRefused as refusal:
            box.running = box.restarting = False
            box.exit_code, box.error = 128, str(refusal)
            self._remove_itself(box)
            raise
        for name in box.volume_names():
            self._ring.tell("volume", "mount", name, {"container": box.id, "driver": "local"})
        self.starts_unseen(box)
        self.emit("start", box)

    def _ended(self, box: Box, exit_code: int) -> None:
        self.ends(box, exit_code)
        self.emit("die", box, exitCode=str(exit_code))
        self._networks.leave_all(box)
        for name in box.volume_names():
            self._ring.tell("volume", "unmount", name, {"container": box.id, "driver": "local"})

    def _remove_itself(self, box: Box) -> None:
        if box.auto_remove:
            del self._boxes[box.id]
            self._volumes.remove_anonymous(box)
            self.emit("destroy", box)

    # What dockerd checks

    def _refuse_start(self, box: Box) -> None:
        if refusal := self._images.recipe(box.image_id).refuses_start:
            raise EngineRefused(refusal, 400)
        if box.network_mode.startswith("container:"):
            other = self.find(box.network_mode.removeprefix("container:"))
            if not other.running:
                raise Conflict(f"cannot join network of a non running container: {other.id}", 409)

    def _refuse_options(self, config: Json, host_config: Json, requested: Json) -> None:
        if len(requested) > 1:
            names = ", ".join(sorted(requested))
            raise EngineRefused(f"Container cannot be connected to network endpoints: {names}", 400)
        if str(host_config.get("NetworkMode")).startswith("container:"):
            if config.get("Hostname"):
                raise EngineRefused("conflicting options: hostname and the network mode", 400)
            if host_config.get("PortBindings"):
                raise EngineRefused(
                    "conflicting options: port publishing and the container type network mode", 400
                )

    def _resolved(self, mode: str) -> str:
        """dockerd keeps the full ID of the container whose network is joined, if it is there."""
        try:
            return f"container:{self.find(mode.removeprefix('container:')).id}"
        except NotFound:
            return mode

    def _claim(self, name: str) -> None:
        for box in self._boxes.values():
            if box.name == name:
                raise Conflict(
                    f'Conflict. The container name "/{name}" is already in use by container '
                    f'"{box.id}"',
                    409,
                )

    def _new_box(self, name: str | None, config: Json, image_id: str) -> Box:
        self._count += 1
        # In the order of creation, and different in the first twelve characters.
        digest = hashlib.sha256(b"%d" % self._count).hexdigest()
        container_id = f"{self._count:06x}{digest[:58]}"
        return Box(
            container_id,
            name or f"nameless_{container_id[:4]}",
            str(config["Image"]),
            image_id,
            created_at=rfc3339(utcnow()),
            config=config,
        )
