"""What tests can do to the way between server and agent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from websockets.http11 import Response

from agent.hub.host import Host
from agent.hub.link import Link


class Faults:
    """A fault of a host hits the connection it has now; the next one is sound.

    Hosts are given as themselves or by id; a deleted one only as itself. LookupError: not connected.
    """

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self._hosts = hosts
        self._stalled_until_s = 0.0
        self._refusal: tuple[int, str] | None = None

    def cut(self, host: Host | str) -> None:
        """The TCP connection is reset, without a closing handshake."""
        self._link(host).transport.abort()

    def stop_reading(self, host: Host | str) -> None:
        """The server reads no more, so it answers no pings either. It still writes, until its own pong is overdue."""
        self._link(host).hold("fault")

    def throttle(self, host: Host | str, bytes_per_s: float | None) -> None:
        """A slow way to the server. None: as fast as it comes."""
        self._link(host).throttle(bytes_per_s)

    def mute(self, host: Host | str) -> None:
        """Half-open: the agent can write, and hears nothing any more, not even a reset."""
        self._link(host).mute()

    def silent(self, host: Host | str) -> None:
        """Stays connected and answers pings, but is not polled: a host deleted in the UI looks like this."""
        self._link(host).silent = True

    def stall_handshake(self, seconds: float) -> None:
        """For that long TCP connections are accepted and their upgrades never answered."""
        self._stalled_until_s = asyncio.get_running_loop().time() + seconds

    def refuse_upgrade(self, status: int, body: str = "") -> None:
        """Every upgrade is answered with this HTTP status, until `heal()`."""
        self._refusal = status, body

    def heal(self) -> None:
        """Upgrades are answered, links are read and polled again. What was cut or muted stays so."""
        self._stalled_until_s, self._refusal = 0.0, None
        for link in (host.link for host in self._hosts.values()):
            if link is not None:
                link.silent = False
                link.throttle(None)
                link.release("fault")

    async def at_upgrade(self, link: Link) -> Response | None:
        """The response that a fault wants for this upgrade, or None."""
        if link.loop.time() < self._stalled_until_s:
            await link.wait_closed()  # bounded by the server's opening timeout
        elif self._refusal is not None:
            return link.respond(*self._refusal)
        return None

    def _link(self, host: Host | str) -> Link:
        found = host if isinstance(host, Host) else self._hosts[host]
        if found.link is None:
            raise LookupError(f"{found.name} is not connected")
        return found.link
