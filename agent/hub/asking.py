"""What somebody at the UI asks for: the request, what comes before it, and the answer made of its reply."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agent.clock import utcnow
from agent.hub import answers, results
from agent.hub.answers import Answer
from agent.hub.host import Host
from agent.hub.inventory import name_of, short_id
from agent.hub.replies import RequestFailed

GUARDED = {"stop", "restart", "kill", "rename", "remove"}
"""Looked at before: the server does not let its own containers be touched."""

OWN = "dockmon"

Complain = Callable[[str | None, str], None]
"""With the ID of the host."""


class Desk:
    def __init__(
        self,
        hosts: Mapping[str, Host],
        request: Callable[..., Awaitable[Any]],
        complain: Complain,
    ) -> None:
        self._hosts, self._request, self._complain = hosts, request, complain

    async def ask(
        self, host_id: str, name: str, payload: Mapping[str, Any] | None = None
    ) -> Answer:
        """What `Hub.ask` says."""
        if name in GUARDED and await self._is_the_servers_own(host_id, payload or {}):
            return Answer(answers.FORBIDDEN, detail="DockMon's own containers are protected")
        try:
            result = await self._request(host_id, name, payload)
        except RequestFailed as failed:
            return answers.failure(name, failed)
        answer = results.answer(
            name, result, lambda text: self._complain(host_id, f"{name}: {text}")
        )
        if name == "list_containers" and (host := self._hosts.get(host_id)):
            listed = len(result) if isinstance(result, list) else 0
            _keep(host, answer.body, listed - len(answer.body))
        return answer

    async def _is_the_servers_own(self, host_id: str, payload: Mapping[str, Any]) -> bool:
        """No, if the container cannot be looked at."""
        container_id = {"container_id": payload.get("container_id")}
        try:
            reply = await self._request(host_id, "inspect", container_id)
        except RequestFailed:
            return False
        match reply:
            case {"container": {"Config": {"Labels": {"app": app}}}} if app == OWN:
                return True
            case {"container": {"Name": str(name)}}:
                name = name.lower().removeprefix("/")
                return name == OWN or name.startswith(f"{OWN}-")
        return False


def _keep(host: Host, containers: list[dict[str, Any]], skipped: int) -> None:
    host.containers, host.skipped_containers, host.listed_at = containers, skipped, utcnow()
    for container in containers:
        host.first_names.setdefault(short_id(container), name_of(container))
