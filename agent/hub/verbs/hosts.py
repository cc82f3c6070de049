"""Hosts: who is there, who may come, and how to be rid of one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from agent.hub.host import Host
from agent.hub.verbs.clerk import Clerk, Mistake, Verb, number

HELP = """\
hosts                      who has registered
token [multi]              a new registration token, for one agent or for any number
log [@host] [N]            the last N (10) entries of the host's event log
complaints                 what a flawless agent would have given no cause for
cut [@host]                resets the TCP connection
restart [SECONDS]          closes every connection with 1012 and is back after that (5)
delete [@host]             deletes the host as in the UI: its socket stays open"""


class Hosts:
    def __init__(self, clerk: Clerk) -> None:
        self._clerk, self._hub = clerk, clerk.hub
        self.verbs: Mapping[str, Verb] = {
            "hosts": self._hosts,
            "token": self._token,
            "log": self._log,
            "complaints": self._complaints,
            "cut": self._cut,
            "restart": self._restart,
            "delete": self._delete,
        }

    async def _hosts(self, rest: str) -> None:
        now = asyncio.get_running_loop().time()
        self._clerk.list(_described(host, now) for host in self._hub.hosts.values())

    async def _token(self, rest: str) -> None:
        self._clerk.say(self._hub.new_token(uses=None if rest == "multi" else 1))

    async def _log(self, rest: str) -> None:
        host, rest = self._clerk.target(rest)
        newest = max(1, int(number(rest, 10)))
        self._clerk.list(
            f"{'failed' if entry.failed else 'ok':6}  {entry.kind:10}  {entry.text}"
            for entry in self._hub.log(host.id)[-newest:]
        )

    async def _complaints(self, rest: str) -> None:
        hosts = self._hub.hosts
        self._clerk.list(
            f"{hosts[host_id].name if host_id in hosts else 'nobody known'}: {text}"
            for host_id, text in self._hub.complaints
        )

    async def _cut(self, rest: str) -> None:
        host, _ = self._clerk.target(rest)
        try:
            self._hub.faults.cut(host)
        except LookupError as error:
            raise Mistake(str(error)) from None

    async def _restart(self, rest: str) -> None:
        pause_s = number(rest, 5)
        await self._hub.stop_listening()
        self._clerk.say(f"* away for {pause_s:g} s")
        await asyncio.sleep(pause_s)
        await self._hub.start_listening()
        self._clerk.say("* back")

    async def _delete(self, rest: str) -> None:
        host, _ = self._clerk.target(rest)
        self._hub.delete_host(host.id)


def _described(host: Host, now_s: float) -> str:
    state = "online" if host.online else f"offline: {host.error}"
    listed = "never" if host.polled_at_s is None else f"{now_s - host.polled_at_s:.0f} s ago"
    return (
        f"@{host.name}  {state}  connections: {host.connections}  "
        f"containers: {len(host.containers)} (listed {listed})  id: {host.id}"
    )
