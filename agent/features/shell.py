"""Interactive shells in containers, for as long as the session with the server lasts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from agent.core import shell
from agent.core.shell import Closed, NotUnderstood, Resized, Start, Typed
from agent.core.shell_buffers import Size
from agent.features.shell_output import ShellOutput
from agent.features.shell_session import ShellSession
from agent.ports import Channel, Clock, Detach, Engine, LinkClosed, Scope

MAX_SESSIONS = 16
"""More than people look at on one host. Each is a process in a container, and a connection to the engine."""

RELEASE_S = 1.0
"""What processes get to end while the session with the server does; those that take longer end after it."""

log = logging.getLogger("agent.shell")


class Shells:
    """The lifecycle's resource `shells`. Each shell is a job: it may outlive the resource, until its process has ended.

    Args:
        detach: Starts a job that belongs to no state.
    """

    def __init__(self, engine: Engine, channel: Channel, *, clock: Clock, detach: Detach) -> None:
        self._engine, self._channel, self._clock = engine, channel, clock
        self._detach = detach
        self._is_held = False
        self._sessions: dict[str, ShellSession] = {}
        self._empty = asyncio.Event()

    # The resource

    def acquire(self, scope: Scope) -> None:
        self._is_held = True

    async def release(self) -> None:
        self.abort()
        if self._sessions:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RELEASE_S):
                    await self._empty.wait()

    def abort(self) -> None:
        self._is_held = False
        for session in self._sessions.values():
            session.abandon("the session with the server is over")

    # What the server says

    def listener(self, payload: Mapping[str, Any]) -> None:
        """Takes the payload of one `shell_session`. What is typed reaches the process in the order it is given here."""
        try:
            message = shell.said(payload)
        except NotUnderstood as fault:
            log.warning("a shell message was not understood: %s", fault)
            return
        if isinstance(message, Start):
            self._start(message)
            return
        session = self._sessions.get(message.session_id)
        if session is None:
            log.debug("there is no shell %s", message.session_id)  # it has just ended
            return
        match message:
            case Typed(data=data):
                session.type(data)
            case Resized(cols=columns, rows=rows):
                session.resize(Size(columns, rows))
            case Closed():
                session.close()

    def _start(self, start: Start) -> None:
        if not self._is_held:
            log.warning("no shell in %s: there is no session to have it in", start.container_id)
        elif start.session_id in self._sessions:
            log.warning("the shell in %s is open already", start.container_id)
        elif len(self._sessions) >= MAX_SESSIONS:
            self._detach(self._refuse(start), "refusal of a shell")
        else:
            session = ShellSession(
                start.session_id, start.container_id, self._engine, self._channel, self._clock
            )
            self._sessions[start.session_id] = session
            self._detach(self._run(start.session_id, session), f"shell in {start.container_id}")

    async def _run(self, session_id: str, session: ShellSession) -> None:
        try:
            await session.run()
        finally:
            del self._sessions[session_id]
            if not self._sessions:
                self._empty.set()

    async def _refuse(self, start: Start) -> None:
        error = f"{MAX_SESSIONS} shells are open on this host already: close one of them"
        output = ShellOutput(start.session_id, self._channel, self._clock)
        with contextlib.suppress(LinkClosed):
            await output.tell(shell.failed(start.session_id, error))
