"""Requests: what a host has besides containers, and anything else that can be asked of an agent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agent.hub.host import Host
from agent.hub.replies import RequestFailed
from agent.hub.verbs.clerk import Clerk, Mistake, Verb

MIB = 2**20

HELP = """\
images [@host]             the images, newest first
networks [@host]           the networks
volumes [@host]            the volumes
logs [@host] CONTAINER     its last hundred lines
scan [@host] [PATH …]      the Compose files in the usual places and there
send [@host] NAME [JSON]   any command or container action with its payload, e.g.
                           send stop {"container_id": "9ab3c1d2e4f5", "timeout": 10}"""


class Requests:
    def __init__(self, clerk: Clerk) -> None:
        self._clerk, self._hub = clerk, clerk.hub
        self.verbs: Mapping[str, Verb] = {
            "images": self._images,
            "networks": self._networks,
            "volumes": self._volumes,
            "logs": self._logs,
            "scan": self._scan,
            "send": self._send,
        }

    async def _images(self, rest: str) -> None:
        self._clerk.list(map(_image, await self._listed(rest, "list_images")))

    async def _networks(self, rest: str) -> None:
        self._clerk.list(map(_network, await self._listed(rest, "list_networks")))

    async def _volumes(self, rest: str) -> None:
        self._clerk.list(map(_volume, await self._listed(rest, "list_volumes")))

    async def _logs(self, rest: str) -> None:
        host, rest = self._clerk.target(rest)
        if not rest:
            raise Mistake("whose? e.g. `logs web`")
        payload = {"container_id": self._clerk.container_id(host, rest), "tail": 100}
        lines = await self._clerk.ask(host, "get_logs", payload)
        self._clerk.list(f"{line['timestamp']}  {line['log']}" for line in lines)

    async def _scan(self, rest: str) -> None:
        host, rest = self._clerk.target(rest)
        payload = {"paths": rest.split() or None, "recursive": True, "max_depth": 5}
        found = await self._clerk.ask(host, "scan_compose_dirs", payload)
        self._clerk.list(
            f"{file['path']}  {file['project_name']}: {', '.join(file['services'])}"
            for file in found["compose_files"]
        )

    async def _send(self, rest: str) -> None:
        host, rest = self._clerk.target(rest)
        name, _, text = rest.partition(" ")
        if not name:
            raise Mistake("send what? e.g. `send list_images`")
        try:
            payload = json.loads(text) if text else None
        except ValueError as error:
            raise Mistake(f"the payload is no JSON: {error}") from None
        if not isinstance(payload, dict | None):
            raise Mistake("the payload is no JSON object")
        await self._request(host, name, payload)

    async def _request(self, host: Host, name: str, payload: Mapping[str, object] | None) -> None:
        try:
            result = await self._hub.request(host.id, name, payload)
        except RequestFailed as failure:
            raise Mistake(f"failed ({failure.error_type}): {failure.text}") from None
        self._clerk.say(json.dumps(result, separators=(",", ":"), ensure_ascii=False))

    async def _listed(self, rest: str, name: str) -> list[dict[str, Any]]:
        host, _ = self._clerk.target(rest)
        listed: list[dict[str, Any]] = await self._clerk.ask(host, name)
        return listed


def _image(image: Mapping[str, Any]) -> str:
    names = ", ".join(image["tags"]) or "dangling"
    return f"{image['id']}  {image['size'] / MIB:8.1f} MiB  {names}{_used(image)}"


def _network(network: Mapping[str, Any]) -> str:
    what = f"{network['driver']}, {network['scope']}, {network['subnet'] or 'no subnet'}"
    return f"{network['id']}  {network['name']}  ({what}){_used(network)}"


def _volume(volume: Mapping[str, Any]) -> str:
    return f"{volume['name']}  ({volume['driver']}){_used(volume)}"


def _used(item: Mapping[str, Any]) -> str:
    users = ", ".join(user["name"] for user in item["containers"])
    return f"  used by {users}" if users else ""
