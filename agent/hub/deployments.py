"""Compose deployments: from the button to the event that ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.hub.event_log import EventLog
from agent.hub.host import Host
from agent.hub.replies import RequestFailed
from agent.hub.shapes import DeployComplete, DeployProgress, Dropped, ServiceProgress, read
from agent.hub.waiting import Signal

Action = Literal["up", "down", "restart"]
Status = Literal["pulling_image", "creating", "starting"]

STAGES: Mapping[str, tuple[Status, int]] = {
    "validating": ("pulling_image", 5),
    "parsing": ("pulling_image", 10),
    "creating_networks": ("creating", 15),
    "creating_volumes": ("creating", 20),
    "pulling_image": ("pulling_image", 40),
    "executing": ("creating", 50),
    "creating": ("creating", 65),
    "starting": ("starting", 80),
    "waiting_for_health": ("starting", 80),
    "health_check": ("starting", 90),
}
UNKNOWN_STAGE: tuple[Status, int] = ("creating", 50)
WITHOUT_EFFECT = {"completed", "failed"}
"""Stages that only `deploy_complete` may bring about."""


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """What the UI sends with its deploy button, and its defaults. `health_timeout` in seconds.

    `deployment_id` None: one is made, of the host, the project and eight hexadecimal digits.
    """

    project_name: str
    compose_content: str
    action: Action = "up"
    env_file_content: str = ""
    env_files: Mapping[str, str] = field(default_factory=dict)
    remove_volumes: bool = False
    profiles: Sequence[str] = ()
    force_recreate: bool = True
    pull_images: bool = True
    wait_for_healthy: bool = True
    health_timeout: int = 120
    registry_credentials: Sequence[Mapping[str, str]] = ()
    deployment_id: str | None = None

    def payload(self, deployment_id: str) -> dict[str, Any]:
        return {
            "deployment_id": deployment_id,
            "project_name": self.project_name,
            "compose_content": self.compose_content,
            "env_file_content": self.env_file_content,
            "env_files": dict(self.env_files),
            "action": self.action,
            "remove_volumes": self.remove_volumes,
            "profiles": list(self.profiles),
            "force_recreate": self.force_recreate,
            "pull_images": self.pull_images,
            "wait_for_healthy": self.wait_for_healthy,
            "health_timeout": self.health_timeout,
            "registry_credentials": [dict(login) for login in self.registry_credentials],
        }


@dataclass(frozen=True, slots=True)
class Step:
    """What the progress bar shows from `at` (loop time in seconds) on."""

    at: float
    stage: str
    status: Status
    percent: int
    message: str
    services: tuple[ServiceProgress, ...]


@dataclass(slots=True, eq=False)
class Deployment:
    """One as the UI shows it. While `outcome` is None, its progress bar turns: without a limit, once acknowledged.

    `linked` are the IDs of the containers that count as the deployment's own. `completions` counts the
    events that wanted to end it; the first one does.
    """

    id: str
    host_id: str
    request: DeployRequest
    progress: list[Step] = field(default_factory=list)
    outcome: Literal["running", "stopped", "partial", "failed"] | None = None
    complete: DeployComplete | None = None
    error: str = ""
    linked: tuple[str, ...] = ()
    completions: int = 0
    _changed: Signal = field(default_factory=Signal)

    async def done(self, timeout_s: float) -> Deployment:
        """Itself, as soon as it has an outcome.

        Raises:
            TimeoutError: It got none in time.
        """
        await self._changed.until(lambda: self.outcome is not None, timeout_s)
        return self

    def fail(self, error: str) -> None:
        self.outcome, self.error = "failed", error
        self._changed.fire()

    def advance(self, report: DeployProgress) -> None:
        if report.stage in WITHOUT_EFFECT:
            return
        status, percent = STAGES.get(report.stage, UNKNOWN_STAGE)
        services = tuple(report.services or ())
        if services:
            running = sum(service.status == "running" for service in services)
            percent = 50 + 40 * running // len(services)
        now = asyncio.get_running_loop().time()
        step = Step(now, report.stage, status, percent, report.message, services)
        self.progress.append(step)

    def end(self, complete: DeployComplete) -> None:
        """The end that the agent reports; what was linked is not unlinked by a second report."""
        self.completions += 1
        if self.complete is not None:
            return
        self.complete, self.error = complete, complete.error
        failed = set(complete.failed_services)
        if complete.success:
            self.outcome = "stopped" if complete.action == "down" else "running"
            failed = set()
        else:
            self.outcome = "partial" if complete.partial_success else "failed"
        if self.outcome != "failed":
            self.linked = tuple(
                service.container_id
                for name, service in complete.services.items()
                if name not in failed and service.container_id
            )
        self._changed.fire()


class Deployments:
    def __init__(
        self,
        hosts: Mapping[str, Host],
        request: Callable[..., Awaitable[Any]],
        log: EventLog,
        new_id: Callable[[], str],
    ) -> None:
        self.all: dict[str, Deployment] = {}
        self._hosts, self._request, self._log, self._new_id = hosts, request, log, new_id

    async def deploy(self, host_id: str, request: DeployRequest) -> Deployment:
        """What `Hub.deploy` says."""
        suffix = self._new_id().replace("-", "")[:8]
        deployment_id = request.deployment_id or f"{host_id}:{request.project_name}:{suffix}"
        deployment = self.all[deployment_id] = Deployment(deployment_id, host_id, request)
        if request.env_files.keys() - {".env"} and not self._takes_many_env_files(host_id):
            deployment.fail("The agent is too old for more than one env file")
        else:
            try:
                payload = request.payload(deployment_id)
                await self._request(host_id, "deploy_compose", payload)
            except RequestFailed as failed:
                deployment.fail(failed.text)
        if deployment.outcome == "failed":
            self._enter(deployment)
        return deployment

    def take_progress(self, host: Host, payload: Any) -> None:
        report = read(DeployProgress, payload)
        self._find(host, report.deployment_id).advance(report)

    def take_complete(self, host: Host, payload: Any) -> None:
        complete = read(DeployComplete, payload)
        deployment = self._find(host, complete.deployment_id)
        deployment.end(complete)
        if deployment.completions == 1:
            self._enter(deployment)

    def _find(self, host: Host, deployment_id: str) -> Deployment:
        found = self.all.get(deployment_id)
        if found is None or found.host_id != host.id:
            raise Dropped(f"there is no deployment {deployment_id}")
        return found

    def _takes_many_env_files(self, host_id: str) -> bool:
        host = self._hosts.get(host_id)
        return bool(host and host.registration.get("capabilities", {}).get("multi_env_files"))

    def _enter(self, deployment: Deployment) -> None:
        text = f"{deployment.request.project_name}: {deployment.outcome}"
        if deployment.error:
            text += f": {deployment.error}"
        failed = deployment.outcome in ("failed", "partial")
        self._log.add(deployment.host_id, "deployment", text, failed=failed)
