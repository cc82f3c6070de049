"""What the containers of a project say about its services: which are fine, which are not, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
ONE_OFF_LABEL = "com.docker.compose.oneoff"

_MAY_END = ("", "no", "on-failure")
"""Restart policies under which a container that ended well was meant to."""

_WORST_FIRST = (
    *("dead", "exited", "unhealthy", "restarting", "removing", "created", "paused"),
    *("starting", "running", "healthy"),
)


@dataclass(frozen=True, slots=True)
class Replica:
    """One container of a service, as far as it tells how the service is.

    `status` is the engine's word for its state; that of its health check instead, where it runs and has one.
    """

    service: str
    container_id: str
    name: str
    image: str
    status: str
    exit_code: int
    restart_policy: str
    started_at: str

    @property
    def is_running(self) -> bool:
        return self.status in ("running", "healthy", "starting", "unhealthy")

    @property
    def is_finished(self) -> bool:
        """It ended, and nobody will start it again."""
        return self.status == "dead" or (
            self.status == "exited" and self.restart_policy in _MAY_END
        )

    def is_fine(self, *, awaited: bool) -> bool:
        """Whether it does what it should. `awaited`: a health check that has not passed yet is not enough."""
        if self.status == "starting":
            return not awaited
        if self.status == "exited":
            return self.exit_code == 0 and self.restart_policy in _MAY_END
        return self.status in ("running", "healthy")

    @property
    def complaint(self) -> str:
        match self.status:
            case "exited":
                return f"exited with code {self.exit_code}"
            case "starting":
                return "was not healthy in time"
            case "restarting":
                return f"keeps restarting, the last exit code is {self.exit_code}"
            case _:
                return f"is {self.status}"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service by its containers: `shown` stands for it, `worst` says how it is."""

    shown: Replica
    worst: Replica
    is_fine: bool

    @property
    def wire_status(self) -> str:
        """What runs and is fine is "running" to the server; a check that has yet to pass is no fault by itself."""
        return "running" if self.is_fine and self.worst.is_running else self.worst.status

    def payload(self) -> dict[str, Any]:
        """As the server reads it."""
        payload: dict[str, Any] = {
            "container_id": self.shown.container_id[:12],
            "container_name": self.shown.name,
            "image": self.shown.image,
            "status": self.wire_status,
            "restart_policy": self.worst.restart_policy or "no",
        }
        if not self.is_fine:
            payload["error"] = self.worst.complaint
        if self.worst.status in ("exited", "dead"):
            payload["exit_code"] = self.worst.exit_code
        return payload


def is_of(project: str, labels: Mapping[str, Any] | None) -> bool:
    """Whether a container with these labels belongs to a service of `project`."""
    labels = labels or {}
    return labels.get(PROJECT_LABEL) == project and labels.get(ONE_OFF_LABEL) != "True"


def replicas(inspected: Iterable[Mapping[str, Any]]) -> list[Replica]:
    """One for each container, from what an inspection shows."""
    return [_replica(container) for container in inspected]


def states(found: Iterable[Replica], *, awaited: bool) -> dict[str, ServiceState]:
    """Each service by its name: one that runs is shown of several replicas, the worst of them counts."""
    by_service: defaultdict[str, list[Replica]] = defaultdict(list)
    for replica in found:
        by_service[replica.service].append(replica)
    return {name: _state(same, awaited) for name, same in sorted(by_service.items())}


def failed(services: Mapping[str, ServiceState]) -> list[str]:
    return [name for name, state in services.items() if not state.is_fine]


def complaint(services: Mapping[str, ServiceState]) -> str:
    """What is wrong with those that are not fine, in one line; "" if all are."""
    wrong = [f"{name} {services[name].worst.complaint}" for name in failed(services)]
    if not wrong:
        return ""
    return f"{len(wrong)} of {len(services)} services failed: {'; '.join(wrong)}"


def _state(same: Sequence[Replica], awaited: bool) -> ServiceState:
    worst = min(same, key=lambda each: (each.is_fine(awaited=awaited), _rank(each.status)))
    shown = next((each for each in same if each.is_running), worst)
    return ServiceState(shown, worst, worst.is_fine(awaited=awaited))


def _rank(status: str) -> int:
    return _WORST_FIRST.index(status) if status in _WORST_FIRST else 0


def _replica(container: Mapping[str, Any]) -> Replica:
    config, state = container.get("Config") or {}, container.get("State") or {}
    policy = (container.get("HostConfig") or {}).get("RestartPolicy") or {}
    status = str(state.get("Status") or "unknown")
    health = (state.get("Health") or {}).get("Status")
    if status == "running" and health in ("healthy", "unhealthy", "starting"):
        status = health
    return Replica(
        service=str((config.get("Labels") or {}).get(SERVICE_LABEL) or "unknown"),
        container_id=str(container.get("Id") or ""),
        name=str(container.get("Name") or "").removeprefix("/"),
        image=str(config.get("Image") or ""),
        status=status,
        exit_code=int(state.get("ExitCode") or 0),
        restart_policy=str(policy.get("Name") or ""),
        started_at=str(state.get("StartedAt") or ""),
    )
