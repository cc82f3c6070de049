"""What a deployment shows of itself: stages that only rise, made of what Compose says line by line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PERCENT = {
    "validating": 5,
    "parsing": 10,
    "creating_networks": 15,
    "creating_volumes": 20,
    "pulling_image": 40,
    "executing": 50,
    "creating": 65,
    "starting": 80,
    "waiting_for_health": 81,
    "health_check": 90,
}
"""Where the server draws its bar for each stage (for waiting_for_health at 80 too)."""

EVERY_S = 0.5
"""People read no faster, and a pull says something dozens of times a second."""

MAX_LAYERS = 1000

_STAGE_OF_VERB = {
    "Creating": "creating",
    "Recreate": "creating",
    "Starting": "starting",
    "Waiting": "starting",
}
_STATUS_OF_VERB = {
    "Creating": "creating",
    "Recreate": "creating",
    "Created": "created",
    "Recreated": "created",
    "Starting": "starting",
    "Started": "running",
    "Running": "running",
    "Waiting": "running",
    "Healthy": "running",
    "Exited": "exited",
    "Stopping": "stopping",
    "Stopped": "stopped",
    "Removing": "removing",
    "Removed": "removed",
}
_LAYER_DONE = ("Download complete", "Pull complete", "Already exists")


@dataclass(slots=True)
class _Service:
    image: str
    status: str = "pending"
    has_run: bool = False

    def become(self, status: str) -> None:
        self.status = status
        self.has_run |= status == "running"


class Progress:
    """One deployment on its way. `feed` takes Compose's lines, `payload` is the server's `deploy_progress`.

    The services are told from the first container on: with them, the server's bar runs from 50 % by those that run,
    and before that it would jump there.
    """

    def __init__(self, deployment_id: str, project: str) -> None:
        self._deployment_id = deployment_id
        self._numbered = re.compile(rf"{re.escape(project)}[-_](?P<service>.+)[-_]\d+")
        self._services: dict[str, _Service] = {}
        self._names: Mapping[str, str] = {}
        self._stage, self._message, self._pulled_percent = "", "", 0
        self._layers: dict[str, tuple[int, int]] = {}
        self._told_stage, self._is_new = "", False
        self._told_at_s: float | None = None

    def knows(self, images: Mapping[str, str], names: Mapping[str, str]) -> None:
        """What the project is made of, once that is known.

        Args:
            images: The image of each service, by the service's name.
            names: The service of each container that the project names itself.
        """
        self._services = {name: _Service(image) for name, image in images.items()}
        self._names = names

    def enter(self, stage: str, message: str) -> None:
        """A step begins. A stage that would set the bar back is left out; its message counts."""
        if PERCENT[stage] >= PERCENT.get(self._stage, 0):
            self._is_new |= stage != self._stage
            self._stage = stage
        self._says(message)

    def feed(self, line: Mapping[str, Any]) -> None:
        """One object of `--progress json`. What is of no interest, or of another Compose, is ignored."""
        kind, _, subject = str(line.get("id") or "").partition(" ")
        verb = str(line.get("status") or "")
        match kind:
            case "Network":
                self._resource("creating_networks", f"network {subject}", verb)
            case "Volume":
                self._resource("creating_volumes", f"volume {subject}", verb)
            case "Container":
                self._container(subject, verb)
            case _ if line.get("text"):
                self._pulls(str(line.get("parent_id") or line.get("id")), line)

    def sees(self, statuses: Mapping[str, str]) -> None:
        """What the containers themselves say, by service."""
        for name, status in statuses.items():
            if (service := self._services.get(name)) is not None:
                self._is_new |= service.status != status
                service.become(status)

    def due(self, at_s: float) -> bool:
        """Whether `payload` has something new and enough time has passed; a new stage does not wait."""
        if not self._is_new or not self._stage:
            return False
        is_due = self._told_at_s is None or at_s - self._told_at_s >= EVERY_S
        return is_due or self._stage != self._told_stage

    def payload(self, at_s: float) -> dict[str, Any]:
        """What is to be told at `at_s` (the loop's time)."""
        self._told_stage, self._told_at_s, self._is_new = self._stage, at_s, False
        payload: dict[str, Any] = {
            "deployment_id": self._deployment_id,
            "stage": self._stage,
            "message": self._message,
        }
        if PERCENT[self._stage] >= PERCENT["executing"] and self._services:
            payload["services"] = [
                {
                    "name": name,
                    # One that has done its work, or fails later, would set the bar back.
                    "status": "running" if service.has_run else service.status,
                    "image": service.image,
                    "message": f"{name} is {service.status}",
                }
                for name, service in self._services.items()
            ]
        return payload

    def _resource(self, stage: str, what: str, verb: str) -> None:
        if verb == "Creating":
            self.enter(stage, f"creating {what}")
        elif verb == "Removing":
            self._says(f"removing {what}")

    def _container(self, name: str, verb: str) -> None:
        if verb not in _STATUS_OF_VERB:
            return
        message = f"container {name}: {verb.lower()}"
        if (stage := _STAGE_OF_VERB.get(verb)) is not None:
            self.enter(stage, message)
        else:
            self._says(message)
        if (service := self._services.get(self._service_of(name))) is not None:
            service.become(_STATUS_OF_VERB[verb])

    def _says(self, message: str) -> None:
        self._is_new |= message != self._message
        self._message = message

    def _service_of(self, container: str) -> str:
        match = self._numbered.fullmatch(container)
        return self._names.get(container) or (match["service"] if match else "")

    def _pulls(self, service: str, line: Mapping[str, Any]) -> None:
        text, current, total = str(line.get("text")), line.get("current"), line.get("total")
        if "parent_id" not in line:
            if text == "Pulling":
                self.enter("pulling_image", f"pulling the image of {service}")
            return
        layer = str(line.get("id"))
        if text == "Downloading" and isinstance(current, int) and isinstance(total, int):
            if len(self._layers) < MAX_LAYERS or layer in self._layers:
                self._layers[layer] = (current, total)
        elif text in _LAYER_DONE and layer in self._layers:
            total = self._layers[layer][1]
            self._layers[layer] = (total, total)
        total_bytes = sum(total for _, total in self._layers.values())
        if total_bytes > 0:
            loaded_bytes = sum(current for current, _ in self._layers.values())
            # A layer whose size was not known before would set it back.
            self._pulled_percent = max(self._pulled_percent, loaded_bytes * 100 // total_bytes)
            megabytes = total_bytes / 1e6
            self.enter("pulling_image", f"pulling: {self._pulled_percent} % of {megabytes:.1f} MB")
