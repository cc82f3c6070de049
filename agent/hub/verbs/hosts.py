"""Hosts: who is there, who may come, and how to be rid of one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from agent.core.rfc3339 import rfc3339
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
        for host in self._hub.hosts.values():
            state = "online" if host.online else f"offline: {host.error}"
            listed = rfc3339(host.listed_at) if host.listed_at else "never"
            self._clerk.say(
                f"@{host.name}  {state}  connections: {host.connections}  "
                f"containers: {len(host.containers)} (listed {listed})  id: {host.id}"
            )

    async def _token(self, rest: str) -> None:
        self._clerk.say(self._hub.new_token(uses=None if rest == "multi" else 1))

    async def _log(self, rest: str) -> None:
        host, rest = self._clerk.target(rest)
        newest = max(1, int(number(rest, 10)))
        for entry in self._hub.log(host.id)[-newest:]:
            self._clerk.say(f"{'failed' if entry.failed else 'ok':6}  {entry.kind}  {entry.text}")

    async def _complaints(self, rest: str) -> None:
        for host_id, text in self._hub.complaints:
            host = self._hub.hosts.get(host_id or "")
            self._clerk.say(f"{host.name if host else 'nobody known'}: {text}")

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
