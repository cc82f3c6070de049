"""The reference server as a program: `dockmon-agent hub`, lines in, lines out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Self, TextIO

from agent.hub.events import read_event
from agent.hub.journal import Entry
from agent.hub.replies import is_reply
from agent.hub.server import Hub
from agent.hub.verbs import changes, checks, containers, hosts, requests, shells
from agent.hub.verbs.clerk import Clerk, Mistake, Verb

CLOSING = """\
help, quit
Without @host it is the first one. CONTAINER is a name of the last poll, or an ID."""

HELP = "\n".join(
    [
        *(hosts.HELP, containers.HELP, requests.HELP, changes.HELP, shells.HELP, checks.HELP),
        CLOSING,
    ]
)


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
    async with Hub(host, port, poll_s=poll_s) as hub, Prompt(hub, out) as prompt:
        prompt.greet(token)
        hub.listen(prompt.narrate)
        async for line in commands:
            if line.strip() == "quit":
                break
            await prompt.obey(line)


class Prompt:
    """Obeys an operator's lines, one after the other, and tells what happens meanwhile.

    `async with` ends what takes longer than its line.
    """

    def __init__(self, hub: Hub, out: TextIO) -> None:
        self._hub, self._clerk = hub, Clerk(hub, out)
        self._shell = shells.ShellAtThePrompt(self._clerk)
        self.verbs: Mapping[str, Verb] = {
            **hosts.Hosts(self._clerk).verbs,
            **containers.Containers(self._clerk).verbs,
            **requests.Requests(self._clerk).verbs,
            **changes.Changes(self._clerk).verbs,
            **self._shell.verbs,
            **checks.HealthChecks(self._clerk).verbs,
            "help": self._help,
        }

    async def __aenter__(self) -> Self:
        await self._clerk.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._clerk.__aexit__(*exc)

    def greet(self, token: str | None) -> None:
        """Where an agent connects, and with what."""
        say = self._clerk.say
        say(f"DockMon reference server on {self._hub.url}; it remembers nothing at its end.")
        if token is None:
            token = self._hub.new_token()
            say("Its first token is good for one agent within 15 minutes.")
        else:
            self._hub.new_token(uses=None, ttl_s=None, value=token)
        say("The agent's environment:")
        say(f"  DOCKMON_URL={self._hub.url}")
        say(f"  REGISTRATION_TOKEN={token}")
        say("`help` lists what can be typed here.")

    def narrate(self, entry: Entry) -> None:
        """One line for a frame that a person would want to know of."""
        host = self._hub.hosts.get(entry.host_id or "")
        if text := _told(entry, host.name if host else "a deleted host"):
            self._clerk.say(f"* {text}")

    async def obey(self, line: str) -> None:
        if self._shell.open:
            await self._shell.type(line)
            return
        verb, _, rest = line.strip().partition(" ")
        if not verb:
            return
        try:
            if verb not in self.verbs:
                raise Mistake(f"{verb}? `help` lists what can be typed here")
            await self.verbs[verb](rest.strip())
        except Mistake as mistake:
            self._clerk.say(str(mistake))

    async def _help(self, rest: str) -> None:
        self._clerk.say(HELP)


def _told(entry: Entry, name: str) -> str | None:
    """The frame in one line; None: it is for those who ask."""
    frame = entry.frame
    match frame:
        case {"type": "auth_error"}:
            return f"refused: {frame['error']}"
        case {"type": "auth_success"}:
            return f"{name} connected"
        case {"type": "error", "error": error}:
            details = frame.get("details")
            return f"{name}: {error}" + (f": {details}" if details else "")
        case {
            "type": "event",
            "command": "update_progress" | "deploy_progress" | "selfupdate_progress",
            "payload": {"stage": stage, "message": message},
        }:
            return f"{name}: {stage}: {message}"
    if not is_reply(frame) and (event := read_event(frame, entry.at)):
        code = f" with exit code {event['exit_code']}" if event["state"] == "exited" else ""
        return f"{name}: {event['container_name']} {event['effect']}{code}"
    return None
