"""An agent's socket from its first frame to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from websockets.exceptions import ConnectionClosed

from agent.clock import utcnow
from agent.hub.asking import Complain
from agent.hub.event_log import EventLog
from agent.hub.exchange import Exchange, Write
from agent.hub.host import Host
from agent.hub.inbox import Inbox
from agent.hub.journal import Journal
from agent.hub.link import TOO_BIG, Link
from agent.hub.reception import Reception
from agent.hub.replies import MalformedFrame, is_reply, parse
from agent.hub.shapes import Dropped


class AgentSocket:
    """Everything between a connection's upgrade and its close.

    Args:
        spawn: Runs what need not be waited for.
        set_online: Told of every host that comes, and, with the reason, that goes.
        gone: Told of every host whose last connection ended.
    """

    def __init__(
        self,
        reception: Reception,
        inbox: Inbox,
        exchange: Exchange,
        *,
        journal: Journal,
        log: EventLog,
        write: Write,
        complain: Complain,
        spawn: Callable[[Any], object],
        set_online: Callable[[Host, str | None], None],
        gone: Callable[[str], None],
    ) -> None:
        self._reception, self._inbox, self._exchange = reception, inbox, exchange
        self._journal, self._log, self._write, self._complain = journal, log, write, complain
        self._spawn, self._set_online, self._gone = spawn, set_online, gone

    async def serve(self, link: Link) -> None:
        """Returns when the connection is over, whoever ended it."""
        host_id: str | None = None
        try:
            if (host := await self._reception.authenticate(link)) is not None:
                host_id = host.id
                await self._converse(link, host)
        except MalformedFrame as error:
            self._complain(host_id, f"a malformed frame: {error}")
            await link.close(1011, "Internal error")
        except ConnectionClosed as closed:
            if closed.sent is not None and closed.sent.code == TOO_BIG:
                self._complain(host_id, closed.sent.reason or "a message over the limit")

    async def _converse(self, link: Link, host: Host) -> None:
        """Welcomes the agent, then reads one message after the other until the connection ends."""
        older, host.link = host.link, link
        if older is not None:
            # In a task of its own: the older one may be half-open and take its time to close.
            self._spawn(older.close(1000, "New connection established"))
        host.connections += 1
        host.last_seen_at = utcnow()
        self._set_online(host, None)
        self._log.add(host.id, "host", f"{host.name} connected")
        try:
            await self._welcome(link, host)
            async for message in link:
                frame = parse(message)
                self._read(host, frame)
                self._journal.record(host.id, "in", frame)  # afterwards: listeners see its effect
        finally:
            if host.link is link:
                self._disconnected(host)

    async def _welcome(self, link: Link, host: Host) -> None:
        success = {
            "type": "auth_success",
            "agent_id": host.agent_id,
            "host_id": host.id,
            "permanent_token": host.agent_id,
        }
        await self._write(link, success, host.id)
        if host.health_checks:  # no check, no sync
            payload = {"configs": host.health_checks}
            sync = {"type": "health_check_configs_sync", "payload": payload}
            await self._write(link, sync, host.id)

    def _read(self, host: Host, frame: dict[str, Any]) -> None:
        try:
            if is_reply(frame):
                self._exchange.settle(frame)
            else:
                self._inbox.take(host, frame)
        except Dropped as dropped:
            self._complain(host.id, str(dropped))

    def _disconnected(self, host: Host) -> None:
        host.link = None
        host.last_seen_at = utcnow()
        self._set_online(host, "Agent disconnected")
        self._log.add(host.id, "host", f"{host.name} disconnected", failed=True)
        self._gone(host.id)
