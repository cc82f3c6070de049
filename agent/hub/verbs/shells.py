"""A shell in a container, line by line."""

from __future__ import annotations

from collections.abc import Mapping

from agent.hub.shells import Shell
from agent.hub.verbs.clerk import Clerk, Mistake, Verb
from agent.hub.verbs.plain_text import PlainText

START_WITHIN_S = 30.0

HELP = """\
shell [@host] CONTAINER    from then on each line goes to a shell in the container;
                           a line with nothing but a dot leaves it"""


class ShellAtThePrompt:
    """While `open`, every line is the shell's."""

    def __init__(self, clerk: Clerk) -> None:
        self._clerk, self._hub = clerk, clerk.hub
        self._shell: Shell | None = None
        self.verbs: Mapping[str, Verb] = {"shell": self._open}

    @property
    def open(self) -> bool:
        shell = self._shell
        return shell is not None and not shell.over and shell.browser_closed is None

    async def type(self, line: str) -> None:
        assert self._shell is not None, "only what is open is typed into"
        if line.strip() == ".":
            await self._shell.close()
            self._clerk.say("* left the shell")
        else:
            await self._shell.send(line.rstrip("\n") + "\n")

    async def _open(self, rest: str) -> None:
        host, rest = self._clerk.target(rest)
        if not rest:
            raise Mistake("in which container? e.g. `shell web`")
        container_id = self._clerk.container_id(host, rest)
        try:
            shell = await self._hub.open_shell(host.id, container_id)
        except LookupError as error:
            raise Mistake(str(error)) from None
        text = PlainText()
        shell.on_output = lambda data: self._clerk.show(text.feed(data))
        self._shell = shell
        try:
            await shell.started_or_ended(START_WITHIN_S)
        except TimeoutError:
            await shell.close()
            raise Mistake("the agent opened no shell") from None
        if shell.error is not None:
            raise Mistake(f"failed: {shell.error}")
