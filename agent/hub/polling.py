"""The loop that asks every host for its containers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from agent.hub.answers import Answer
from agent.hub.host import Host

POLL_FLOOR_S = 5.0  # the server caches a container list for that long


class Polling:
    def __init__(
        self,
        hosts: Mapping[str, Host],
        ask: Callable[[str, str], Awaitable[Answer]],
        set_online: Callable[[Host, str | None], None],
    ) -> None:
        self._hosts, self._ask, self._set_online = hosts, ask, set_online

    async def run(self, period_s: float) -> None:
        """Asks the hosts for their containers, one host after the other: a slow one delays the rest."""
        loop = asyncio.get_running_loop()
        while True:
            for host in list(self._hosts.values()):
                if host.link is None or host.link.silent:
                    continue
                if host.polled_at_s is None or loop.time() - host.polled_at_s >= POLL_FLOOR_S:
                    host.polled_at_s = loop.time()
                    await self._poll(host)
            await asyncio.sleep(period_s)

    async def _poll(self, host: Host) -> None:
        answer = await self._ask(host.id, "list_containers")
        if not answer.ok:
            self._set_online(host, answer.detail)
        elif host.link is not None:
            self._set_online(host, None)
