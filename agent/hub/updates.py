"""Updates of containers, and of the agent by itself: what the server asks for and how it learns the end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from agent.clock import utcnow
from agent.hub.answers import OK, Answer, failure
from agent.hub.event_log import EventLog
from agent.hub.host import Host
from agent.hub.inventory import short_id
from agent.hub.replies import RequestFailed
from agent.hub.shapes import (
    SHORT_ID_LENGTH,
    Dropped,
    SelfUpdateProgress,
    UpdateComplete,
    read,
)

COMPLETE_WITHIN_S = 300.0
"""From the acknowledgement on."""
COMPLETED_KEPT = 10_000
LOOK_EVERY_S = 2.0
SEEN_WITHIN = timedelta(seconds=10)
AGENT_IMAGE = "dockmon-agent"
AGENT_REPOSITORY = "ghcr.io/darthnorse/dockmon-agent"
AGENT_RELEASES = "https://github.com/darthnorse/dockmon/releases/download"
"""Of the server's own agent, which the button offers to every agent."""
FAILED = "Agent update failed or timed out"


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """How an update ended, as the UI tells it.

    `command` is what was sent. `container_id` is where the settings are from now on: the old ID, if it
    failed or the agent updated itself. `error` None: it is shown as a success.
    """

    command: Literal["update_container", "self_update"]
    container_id: str
    error: str | None = None
    failed_dependents: tuple[str, ...] = ()

    @property
    def success(self) -> bool:
        return self.error is None


@dataclass(frozen=True, slots=True)
class Completed:
    """An `update_complete` that came. `expected` False: nobody waited for it, and nothing was migrated."""

    at: float
    host_id: str
    update: UpdateComplete
    expected: bool


class Updates:
    def __init__(
        self, hosts: Mapping[str, Host], request: Callable[..., Awaitable[Any]], log: EventLog
    ) -> None:
        self.completed: deque[Completed] = deque(maxlen=COMPLETED_KEPT)
        self._hosts, self._request, self._log = hosts, request, log
        self._pending: dict[tuple[str, str], asyncio.Future[UpdateComplete]] = {}
        self._restarting: dict[
            str, int
        ] = {}  # by host ID: its connections when it agreed to update itself

    async def update(
        self,
        host_id: str,
        container_id: str,
        new_image: str,
        *,
        registry_auth: Mapping[str, str] | None,
        stop_timeout: int,
        health_timeout: int,
    ) -> UpdateResult:
        """What `Hub.update_container` says."""
        container_id = container_id[:SHORT_ID_LENGTH]
        if AGENT_IMAGE in self._image_of(host_id, container_id).lower():
            result = await self._update_agent(host_id, container_id, new_image)
        else:
            payload = {
                "container_id": container_id,
                "new_image": new_image,
                "stop_timeout": stop_timeout,
                "health_timeout": health_timeout,
                "registry_auth": registry_auth and dict(registry_auth),
            }
            result = await self._update_container(host_id, container_id, payload)
        text = result.error or f"Updated to {new_image}"
        self._log.add(host_id, "update", text, result.container_id, failed=not result.success)
        return result

    async def update_agent(self, host_id: str, version: str) -> Answer:
        """What `Hub.update_agent` says."""
        payload = {
            "image": f"{AGENT_REPOSITORY}:{version}",
            "version": version,
            "binary_url": f"{AGENT_RELEASES}/v{version}/{AGENT_IMAGE}-linux-amd64",
            "checksum": None,
        }
        return await self.self_update(host_id, payload)

    async def self_update(self, host_id: str, payload: Mapping[str, Any]) -> Answer:
        """What `Hub.self_update` says."""
        try:
            answer = await self._request(host_id, "self_update", dict(payload))
        except RequestFailed as failed:
            return failure("self_update", failed)
        self._restarting[host_id] = self._hosts[host_id].connections
        return Answer(OK, answer)

    def take_self_update(self, host: Host, payload: Any) -> None:
        """Of its end at the latest: a failed one, or one that was complete, restarts nothing."""
        progress = read(SelfUpdateProgress, payload)
        if progress.error or progress.stage == "complete":
            self._restarting.pop(host.id, None)
        self._log.take_self_update(host, payload)

    def take_heartbeat(self, host: Host) -> None:
        """Between its word that it updates itself and its restart it would be taken for one that is back."""
        if self._restarting.get(host.id) == host.connections:
            raise Dropped("heartbeat: the server takes it for the end of the self_update under way")

    def take_complete(self, host: Host, payload: Any) -> None:
        """It is always taken for a success; without a pending update it only makes an entry in the log."""
        update = read(UpdateComplete, payload)
        pending = self._pending.get((host.id, update.old_container_id))
        expected = pending is not None and not pending.done()
        now = asyncio.get_running_loop().time()
        self.completed.append(Completed(now, host.id, update, expected))
        if pending is not None and expected:
            pending.set_result(update)
        else:
            text = f"{update.container_name} was updated, which nobody waited for"
            self._log.add(host.id, "update", text, update.new_container_id)

    async def _update_container(
        self, host_id: str, container_id: str, payload: Mapping[str, Any]
    ) -> UpdateResult:
        key = host_id, container_id
        if key in self._pending:
            raise ValueError(f"{container_id} is being updated already")
        self._pending[key] = asyncio.get_running_loop().create_future()
        try:
            await self._request(host_id, "update_container", payload)
            async with asyncio.timeout(COMPLETE_WITHIN_S):
                update = await self._pending[key]
        except RequestFailed as failed:
            return UpdateResult("update_container", container_id, failed.text)
        except TimeoutError:
            return UpdateResult("update_container", container_id, FAILED)
        finally:
            del self._pending[key]
        self._migrate(host_id, container_id, update.new_container_id)
        return UpdateResult(
            "update_container",
            update.new_container_id,
            failed_dependents=tuple(update.failed_dependents),
        )

    async def _update_agent(self, host_id: str, container_id: str, new_image: str) -> UpdateResult:
        """Taken for done as soon as the agent was seen within ten seconds, whether it restarted or not."""
        payload = {
            "image": new_image,
            "version": new_image.rpartition(":")[2],
            "binary_url": None,
            "checksum": None,
        }
        try:
            await self._request(host_id, "self_update", payload)
            self._restarting[host_id] = self._hosts[host_id].connections
            async with asyncio.timeout(COMPLETE_WITHIN_S):
                while not self._seems_back(host_id):
                    await asyncio.sleep(LOOK_EVERY_S)
        except RequestFailed as failed:
            return UpdateResult("self_update", container_id, failed.text)
        except TimeoutError:
            return UpdateResult("self_update", container_id, FAILED)
        return UpdateResult("self_update", container_id)

    def _seems_back(self, host_id: str) -> bool:
        host = self._hosts.get(host_id)
        if host is None or not host.online or host.last_seen_at is None:
            return False
        return utcnow() - host.last_seen_at < SEEN_WITHIN

    def _image_of(self, host_id: str, container_id: str) -> str:
        """What the last listing called the container's image; nothing, if it was not in it."""
        host = self._hosts.get(host_id)
        for container in host.containers if host else ():
            if short_id(container) == container_id:
                return str(container.get("Image") or "")
        return ""

    def _migrate(self, host_id: str, old_id: str, new_id: str) -> None:
        """The settings of a container follow it under its new ID."""
        host = self._hosts.get(host_id)
        for check in host.health_checks if host else ():
            if check.get("container_id") == old_id:
                check["container_id"] = new_id
