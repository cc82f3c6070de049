"""What tests can do to the way between server and agent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal

from websockets.http11 import Response

from agent.hub.host import Host
from agent.hub.link import Link

Socket = Literal["agent", "stats"]


class Faults:
    """A fault of a host hits the connection it has now; the next one is sound.

    Hosts are given as themselves or by id; a deleted one only as itself. `on` says which of its two sockets.
    LookupError: not connected.
    """

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self._hosts = hosts
        self._stalled_until_s = 0.0
        self._refusal: tuple[int, str] | None = None
        self._stats_refusal: tuple[int, str] | None = None

    def cut(self, host: Host | str, on: Socket = "agent") -> None:
        """The TCP connection is reset, without a closing handshake."""
        self._link(host, on).transport.abort()

    def stop_reading(self, host: Host | str, on: Socket = "agent") -> None:
        """The server reads no more, so it answers no pings either. It still writes, until its own pong is overdue."""
        link = self._link(host, on)
        link.close_window()
        link.hold("fault")

    def throttle(self, host: Host | str, bytes_per_s: float | None, on: Socket = "agent") -> None:
        """A slow way to the server. None: as fast as it comes."""
        self._link(host, on).throttle(bytes_per_s)

    def mute(self, host: Host | str, on: Socket = "agent") -> None:
        """Half-open: the agent can write, and hears nothing any more, not even a reset."""
        self._link(host, on).mute()

    def silent(self, host: Host | str) -> None:
        """Stays connected and answers pings, but is not polled: a host deleted in the UI looks like this."""
        self._link(host).silent = True

    def stall_handshake(self, seconds: float) -> None:
        """For that long TCP connections are accepted and their upgrades never answered."""
        self._stalled_until_s = asyncio.get_running_loop().time() + seconds

    def refuse_upgrade(self, status: int, body: str = "") -> None:
        """Every upgrade is answered with this HTTP status, until `heal()`."""
        self._refusal = status, body

    def refuse_stats(self, status: int, body: str = "") -> None:
        """The same for the second socket alone: 404 by an older server, 500 by one whose database fails."""
        self._stats_refusal = status, body

    def heal(self) -> None:
        """Upgrades are answered, links are read and polled again. What was cut or muted stays so."""
        self._stalled_until_s, self._refusal, self._stats_refusal = 0.0, None, None
        for host in self._hosts.values():
            for link in (host.link, host.stats_link):
                if link is not None:
                    link.silent = False
                    link.throttle(None)
                    link.release("fault")

    async def at_upgrade(self, link: Link, socket: Socket) -> Response | None:
        """The response that a fault wants for this upgrade, or None."""
        if link.loop.time() < self._stalled_until_s:
            await link.wait_closed()  # bounded by the server's opening timeout
            return None
        refusal = self._refusal or (self._stats_refusal if socket == "stats" else None)
        return link.respond(*refusal) if refusal else None

    def _link(self, host: Host | str, socket: Socket = "agent") -> Link:
        found = host if isinstance(host, Host) else self._hosts[host]
        link = found.link if socket == "agent" else found.stats_link
        if link is None:
            raise LookupError(f"{found.name} is not connected")
        return link
