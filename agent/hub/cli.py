"""The reference server as a program: `dockmon-agent hub`, lines in, lines out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TextIO

from agent.core.rfc3339 import rfc3339
from agent.hub.events import read_event
from agent.hub.host import Host
from agent.hub.replies import RequestFailed, is_reply
from agent.hub.server import Entry, Hub

HELP = """\
hosts                      who has registered
token [multi]              a new registration token, for one agent or for any number
containers [@host]         the containers of the last poll
send [@host] NAME [JSON]   any command or container action with its payload, e.g.
                           send stop {"container_id": "9ab3c1d2e4f5", "timeout": 10}
events [@host] [N]         the last N (10) container events
cut [@host]                resets the TCP connection
restart [SECONDS]          closes every connection with 1012 and is back after that (5)
delete [@host]             deletes the host as in the UI: its socket stays open
help, quit
Without @host it is the first one."""


class Mistake(Exception):
    """The line cannot be obeyed; the text says why."""


async def serve(
    host: str,
    port: int,
    token: str | None,
    poll_s: float | None,
    out: TextIO,
    commands: AsyncIterator[str],
) -> None:
    """Runs a hub until `commands` ends or says `quit`.

    Args:
        token: A registration token that any number of agents may use at any time.
            None: one is made, for a single agent within 15 minutes.
        poll_s: The period of the polling loop; None: no polling.
    """
    async with Hub(host, port, poll_s=poll_s) as hub:
        prompt = Prompt(hub, out)
        prompt.greet(token)
        hub.listen(prompt.narrate)
        async for line in commands:
            if line.strip() == "quit":
                break
            await prompt.obey(line)


class Prompt:
    """Obeys an operator's lines, one after the other, and tells what happens meanwhile."""

    def __init__(self, hub: Hub, out: TextIO) -> None:
        self._hub, self._out = hub, out
        self._verbs: Mapping[str, Callable[[str], Awaitable[None]]] = {
            "hosts": self._hosts,
            "token": self._token,
            "containers": self._containers,
            "send": self._send,
            "events": self._events,
            "cut": self._cut,
            "restart": self._restart,
            "delete": self._delete,
            "help": self._help,
        }

    def greet(self, token: str | None) -> None:
        """Where an agent connects, and with what."""
        self._say(f"DockMon reference server on {self._hub.url}; it remembers nothing at its end.")
        if token is None:
            token = self._hub.new_token()
            self._say("Its first token is good for one agent within 15 minutes.")
        else:
            self._hub.new_token(uses=None, ttl_s=None, value=token)
        self._say("The agent's environment:")
        self._say(f"  DOCKMON_URL={self._hub.url}")
        self._say(f"  REGISTRATION_TOKEN={token}")
        self._say("`help` lists what can be typed here.")

    def narrate(self, entry: Entry) -> None:
        """One line for a frame that a person would want to know of."""
        frame = entry.frame
        host = self._hub.hosts.get(entry.host_id or "")
        name = host.name if host else "a deleted host"
        if frame.get("type") == "auth_error":
            self._say(f"* refused: {frame['error']}")
        elif frame.get("type") == "auth_success":
            self._say(f"* {name} connected")
        elif not is_reply(frame) and (event := read_event(frame, entry.at)):
            code = f" with exit code {event['exit_code']}" if event["state"] == "exited" else ""
            self._say(f"* {name}: {event['container_name']} {event['effect']}{code}")

    async def obey(self, line: str) -> None:
        verb, _, rest = line.strip().partition(" ")
        if not verb:
            return
        try:
            if verb not in self._verbs:
                raise Mistake(f"{verb}? `help` lists what can be typed here")
            await self._verbs[verb](rest.strip())
        except Mistake as mistake:
            self._say(str(mistake))

    async def _hosts(self, rest: str) -> None:
        for host in self._hub.hosts.values():
            state = "online" if host.online else f"offline: {host.error}"
            listed = rfc3339(host.listed_at) if host.listed_at else "never"
            self._say(
                f"@{host.name}  {state}  connections: {host.connections}  "
                f"containers: {len(host.containers)} (listed {listed})  id: {host.id}"
            )

    async def _token(self, rest: str) -> None:
        self._say(self._hub.new_token(uses=None if rest == "multi" else 1))

    async def _containers(self, rest: str) -> None:
        host, _ = self._target(rest)
        for container in host.containers:
            name = (container.get("Names") or ["unknown"])[0].removeprefix("/")
            what = f"{container.get('State', 'unknown'):10}  {name}  {container.get('Image')}"
            self._say(f"{container['Id'][:12]}  {what}")

    async def _send(self, rest: str) -> None:
        host, rest = self._target(rest)
        name, _, text = rest.partition(" ")
        if not name:
            raise Mistake("send what? e.g. `send list_images`")
        try:
            payload = json.loads(text) if text else None
        except ValueError as error:
            raise Mistake(f"the payload is no JSON: {error}") from None
        if not isinstance(payload, dict | None):
            raise Mistake("the payload is no JSON object")
        try:
            result = await self._hub.request(host.id, name, payload)
        except RequestFailed as failure:
            raise Mistake(f"failed ({failure.error_type}): {failure.text}") from None
        self._say(json.dumps(result, separators=(",", ":"), ensure_ascii=False))

    async def _events(self, rest: str) -> None:
        host, rest = self._target(rest)
        newest = max(1, int(self._number(rest, 10)))
        for event in self._hub.events(host.id)[-newest:]:
            self._say(f"{event['container_id']}  {event['container_name']}  {event['effect']}")

    async def _cut(self, rest: str) -> None:
        host, _ = self._target(rest)
        try:
            self._hub.faults.cut(host)
        except LookupError as error:
            raise Mistake(str(error)) from None

    async def _restart(self, rest: str) -> None:
        pause_s = self._number(rest, 5)
        await self._hub.stop_listening()
        self._say(f"* away for {pause_s:g} s")
        await asyncio.sleep(pause_s)
        await self._hub.start_listening()
        self._say("* back")

    async def _delete(self, rest: str) -> None:
        host, _ = self._target(rest)
        self._hub.delete_host(host.id)

    async def _help(self, rest: str) -> None:
        self._say(HELP)

    def _target(self, rest: str) -> tuple[Host, str]:
        """The host that the line is about, and the line without it."""
        hosts = self._hub.hosts.values()
        if not rest.startswith("@"):
            if not hosts:
                raise Mistake("no host has registered yet")
            return next(iter(hosts)), rest
        name, _, rest = rest[1:].partition(" ")
        for host in hosts:
            if name in (host.name, host.id):
                return host, rest.strip()
        raise Mistake(f"no host is called {name}; `hosts` lists them")

    def _number(self, text: str, default: float) -> float:
        try:
            number = float(text) if text else default
        except ValueError:
            raise Mistake(f"{text} is no number") from None
        if not 0 <= number < 1e9:
            raise Mistake(f"{text} is out of range")
        return number

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)
