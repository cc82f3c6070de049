"""The socket between a release and the launcher that started it: JSON, a line each."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from agent.core.launch import Launch, read_launch
from agent.faults import fault
from agent.ports import LauncherSilent, Switch

FD_VARIABLE = "DOCKMON_AGENT_LAUNCHER_FD"
LAUNCH_VARIABLE = "DOCKMON_AGENT_LAUNCH"
MAX_LINE_BYTES = 16 * 1024

log = logging.getLogger("agent.launcher")


class LauncherLink(asyncio.Protocol):
    """`agent.ports.Launcher`. To be opened once, before anything is said.

    Args:
        descriptor: Our end of the pair.
    """

    def __init__(self, launch: Launch, descriptor: int) -> None:
        self.launch = launch
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)  # or it would not close when only we end
        self._transport: asyncio.WriteTransport | None = None
        self._lost: Callable[[], None] = lambda: None
        self._rest = b""
        self._answer: asyncio.Future[str] | None = None

    async def open(self, lost: Callable[[], None]) -> None:
        """Begins to listen. `lost` is called when the launcher has gone: nobody would take a bad release back."""
        self._lost = lost
        await asyncio.get_running_loop().create_connection(lambda: self, sock=self._socket)

    def close(self) -> None:
        self._lost = lambda: None
        if self._transport is not None:
            self._transport.close()

    # What is said

    def heartbeat(self) -> None:
        self._say({"say": "heartbeat"})

    def registered(self) -> None:
        fault("registration.reached")
        self._say({"say": "registered"})
        fault("registration.told")

    def reported(self, command_id: str) -> None:
        fault("result.journalled")
        self._say({"say": "reported", "command_id": command_id})
        fault("result.reported")

    async def switch(self, switch: Switch, *, deadline_s: float) -> str:
        self._answer = answer = asyncio.get_running_loop().create_future()
        fault("handover.begun")
        self._say({"say": "switch", **asdict(switch)})
        fault("handover.asked")
        try:
            async with asyncio.timeout(deadline_s):
                why: str = await answer
        except TimeoutError:
            raise LauncherSilent(f"the launcher gave no answer within {deadline_s:g} s") from None
        finally:
            self._answer = None
        fault("handover.answered")
        return why

    def _say(self, message: Mapping[str, object]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(json.dumps(message).encode() + b"\n")

    # What is heard

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest = b""
        for line in lines:
            self._heard(line)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LauncherSilent("the launcher has gone"))
        self._lost()

    def _heard(self, line: bytes) -> None:
        try:
            message: Any = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict) or message.get("re") != "switch":
            log.warning("the launcher said something that is not known here")
        elif self._answer is not None and not self._answer.done():
            why = "" if message.get("ok") is True else str(message.get("why") or "no reason given")
            self._answer.set_result(why)


def launcher_link(environ: Mapping[str, str]) -> LauncherLink | None:
    """The way to the launcher that started us; None where nobody did.

    Raises:
        NoLaunch: What it told us cannot be read.
        OSError: The socket is none.
    """
    if FD_VARIABLE not in environ or LAUNCH_VARIABLE not in environ:
        return None
    launch = read_launch(environ[LAUNCH_VARIABLE])
    descriptor = int(environ[FD_VARIABLE]) if environ[FD_VARIABLE].isdigit() else -1
    os.fstat(descriptor)
    return LauncherLink(launch, descriptor)
