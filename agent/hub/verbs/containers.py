"""Containers: which there are, what they do and how they fare."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from agent.hub.inventory import name_of, short_id
from agent.hub.verbs.clerk import Clerk, Verb, number

MIB = 2**20
LAST_S = 60.0

HELP = """\
containers [@host]         the containers of the last poll
stats [@host]              the figures of the last minute, of the host and of each container
events [@host] [N]         the last N (10) container events"""


class Containers:
    def __init__(self, clerk: Clerk) -> None:
        self._clerk, self._hub = clerk, clerk.hub
        self.verbs: Mapping[str, Verb] = {
            "containers": self._containers,
            "stats": self._stats,
            "events": self._events,
        }

    async def _containers(self, rest: str) -> None:
        host, _ = self._clerk.target(rest)
        self._clerk.list(
            f"{short_id(container)}  {container.get('State', 'unknown'):10}  "
            f"{name_of(container)}  {container.get('Image')}"
            for container in host.containers
        )

    async def _stats(self, rest: str) -> None:
        host, _ = self._clerk.target(rest)
        whole = self._hub.metrics.host(host.id)
        self._clerk.say(
            f"@{host.name}  CPU {whole.cpu_percent:.1f} %  memory {whole.mem_percent:.1f} %  "
            f"network {whole.net_bytes_per_s:.0f} B/s  (by the {whole.source})"
        )
        now = asyncio.get_running_loop().time()
        for container_id, latest in self._hub.metrics.containers(host.id).items():
            if now - latest.at > LAST_S:
                continue  # the server keeps figures of what is long gone
            sample = latest.sample
            self._clerk.say(
                f"{container_id}  CPU {sample.cpu_percent:5.1f} %  "
                f"memory {sample.memory_usage / MIB:7.1f} MiB  "
                f"network {latest.network_bytes_per_s:7.0f} B/s  "
                f"{sample.container_name}  ({now - latest.at:.0f} s ago)"
            )

    async def _events(self, rest: str) -> None:
        host, rest = self._clerk.target(rest)
        newest = max(1, int(number(rest, 10)))
        self._clerk.list(
            f"{event['container_id']}  {event['container_name']}  {event['effect']}"
            for event in self._hub.events(host.id)[-newest:]
        )
