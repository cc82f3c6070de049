"""Agents in containers, with their volumes: made by `docker run`, and gone when the test is over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from e2e.cli import Said, docker, docker_said
from engine import LABEL, NAME_PREFIX, RUN_LABEL

from agent.hub.server import Hub

START_S = 60.0
"""A busy machine may take its time; a test that passes never waits this long."""

ROOT = "/opt/dockmon-agent"

COMMAND = ("python3", "-I", "-S", "-B", f"{ROOT}/launcher")


class Box:
    """Makes containers from `image` for one test, which are agents of `hub`, and removes all of it.

    Args:
        socket: The engine's, on this machine.
    """

    def __init__(self, image: str, hub: Hub, socket: Path) -> None:
        self.image, self.hub, self.socket = image, hub, socket
        self._run = f"{RUN_LABEL}={secrets.token_hex(4)}"
        self._made: list[AgentContainer] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            for made in self._made:
                error.add_note(f"{made.name} said:\n" + "\n".join((await made.lines())[-60:]))
        for made in self._made:  # what a killed agent had no time to remove
            label = f"label=dockmon-agent.extract={made.id}"
            if found := (await docker("ps", "--all", "--quiet", "--filter", label)).split():
                await docker("rm", "--force", "--volumes", *found)
        ours = ("--quiet", "--filter", f"label={self._run}")
        if found := (await docker("ps", "--all", *ours)).split():
            await docker("rm", "--force", "--volumes", *found)
        if found := (await docker("volume", "ls", *ours)).split():
            await docker("volume", "rm", "--force", *found)

    @property
    def labels(self) -> tuple[str, ...]:
        """What marks our things, as flags."""
        return "--label", f"{LABEL}=1", "--label", self._run

    async def volume(self, *flags: str) -> str:
        """A new named volume; `flags` are those of `docker volume create`."""
        return await docker("volume", "create", *self.labels, *flags, _name("data"))

    async def fill(self, volume: str, script: str) -> str:
        """Runs a shell script as root with the volume at /data, and returns what it prints."""
        return await docker(
            *("run", "--rm", "--network", "none", *self.labels, "--volume", f"{volume}:/data"),
            *("--entrypoint", "sh", self.image, "-ec", script),
        )

    def settings(self) -> dict[str, str]:
        """The environment of an agent which is new to the hub."""
        return {
            "DOCKMON_URL": self.hub.url,
            "REGISTRATION_TOKEN": self.hub.new_token(),
            "LOG_JSON": "false",
            "RECONNECT_MAX": "1s",
        }

    async def run(
        self,
        *flags: str,
        volume: str | None = None,
        settings: Mapping[str, str] | None = None,
        image: str | None = None,
        command: Sequence[str] = (),
    ) -> AgentContainer:
        """`docker run`, with the engine's socket and a volume at /data.

        Args:
            flags: More of `docker run`'s.
            volume: None: a new one; "": none at all.
            settings: None: those of an agent which is new to the hub.
            image: None: the box's.
        """
        volume = await self.volume() if volume is None else volume
        data = ("--volume", f"{volume}:/data") if volume else ()
        name = _name("agent")
        environment = self.settings() if settings is None else settings
        container_id = await docker(
            *("run", "--detach", "--name", name, *self.labels, "--network", "host"),
            *("--volume", f"{self.socket}:/var/run/docker.sock", *data),
            *(word for key, value in environment.items() for word in ("--env", f"{key}={value}")),
            *(*flags, image or self.image, *command),
        )
        made = AgentContainer(container_id.splitlines()[-1], name, volume)
        self._made.append(made)
        return made


class AgentContainer:
    def __init__(self, container_id: str, name: str, volume: str) -> None:
        self.id, self.name, self.volume = container_id, name, volume

    async def inspect(self) -> dict[str, Any]:
        (found,) = json.loads(await docker("inspect", self.id))
        assert isinstance(found, dict)
        return found

    async def exec(self, *command: str, user: str | None = None) -> Said:
        return await docker_said("exec", *(("--user", user) if user else ()), self.id, *command)

    async def lines(self) -> list[str]:
        return (await docker_said("logs", self.id)).text.splitlines()

    async def says(self, text: str, *, times: int = 1, within_s: float = START_S) -> str:
        """Waits until so many log lines have `text` in them, and returns the last of these."""
        process = await asyncio.create_subprocess_exec(
            *("docker", "logs", "--follow", self.id),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1024 * 1024,
        )
        assert process.stdout is not None
        lines: list[str] = []
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    async for line in process.stdout:
                        lines.append(line.decode(errors="replace").rstrip())
                        if text in lines[-1]:
                            times -= 1
                            if not times:
                                return lines[-1]
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        raise AssertionError(f"no line with {text!r} in:\n" + "\n".join(lines))

    async def ends(self, *, within_s: float = START_S) -> int:
        """Waits until it does not run any more and returns its exit status."""
        return int(await docker("wait", self.id, within_s=within_s))

    async def start(self) -> None:
        await docker("start", self.id)

    async def stop(self) -> float:
        """`docker stop`; returns how many seconds it took."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await docker("stop", self.id)
        return loop.time() - began_s

    async def restart(self) -> None:
        await docker("restart", self.id)

    async def kill(self, signal: str = "KILL") -> None:
        """A signal to its first process."""
        await docker("kill", "--signal", signal, self.id)

    async def processes(self) -> list[tuple[int, str, str]]:
        """Of each process in it: its uid, its state as `ps` has it, its command."""
        told = await docker("top", self.id, "-eo", "pid,uid,stat,args")
        rows = [line.split(None, 3) for line in told.splitlines()[1:]]
        return [(int(uid), state, command) for _, uid, state, command in rows]


def _name(what: str) -> str:
    return f"{NAME_PREFIX}{what}-{secrets.token_hex(4)}"
