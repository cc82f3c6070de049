"""The second socket: the stats-service, which only listens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from agent.hub.history import History, read_sample
from agent.hub.host import Host
from agent.hub.link import TOO_BIG, Link
from agent.hub.shapes import Dropped

logger = logging.getLogger(__name__)

INGEST_PATH = "/api/stats/ws/ingest"
MAX_FRAME_BYTES = 16_384
TOKEN_CACHED_S = 300.0


class Ingest:
    """Every sample goes to `history`; a frame that does not decode ends its socket without a goodbye."""

    def __init__(self, hosts: Mapping[str, Host], complain: Callable[[str, str], None]) -> None:
        self.history = History()
        self._hosts, self._complain = hosts, complain
        self._admitted: dict[str, tuple[float, Host]] = {}

    def at_upgrade(self, link: Link, request: Request) -> Response | None:
        """401 for a token that is no host's, however that host fares afterwards: None lets the agent in."""
        host = self._owner(_token(request), link.loop.time())
        if host is None:
            return link.respond(401, "unauthorized")
        link.ping_interval = None
        link.protocol.max_message_size = MAX_FRAME_BYTES
        return None

    async def serve(self, link: Link) -> None:
        """Reads until the connection ends or a frame cannot be read."""
        assert link.request is not None
        host = self._owner(_token(link.request), link.loop.time())
        assert host is not None, "at_upgrade() asked the same a moment ago"
        host.stats_link = link
        try:
            async for message in link:
                self._take(host, message)
        except Dropped as dropped:
            self._complain(host.id, f"stats socket: {dropped}")
            link.transport.abort()
        except ConnectionClosed as closed:
            if closed.sent is not None and closed.sent.code == TOO_BIG:
                self._complain(host.id, f"stats socket: a frame over {MAX_FRAME_BYTES} bytes")
        finally:
            if host.stats_link is link:
                host.stats_link = None

    def _take(self, host: Host, message: str | bytes) -> None:
        sample = read_sample(message)
        try:
            self.history.add(host.id, sample)
        except Dropped as dropped:
            self._complain(host.id, f"stats socket: {dropped}")

    def _owner(self, token: str, now_s: float) -> Host | None:
        """The host whose permanent token it is, or was within the last five minutes."""
        known_until_s, host = self._admitted.get(token, (0.0, None))
        if host is not None and now_s < known_until_s:
            return host
        for host in self._hosts.values():
            if host.agent_id == token:
                self._admitted[token] = now_s + TOKEN_CACHED_S, host
                return host
        return None


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token
    return parse_qs(urlsplit(request.path).query).get("token", [""])[0]
