"""The port that agents connect to: which paths are there, and coming and going as a server that restarts."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from agent.hub.faults import Faults, Socket
from agent.hub.link import Link

MAX_MESSAGE_BYTES = 16 * 2**20
OPEN_TIMEOUT_S = 60.0  # far beyond an agent's patience, so that it is the agent that gives up
PING_INTERVAL_S = 20.0
PONG_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Route:
    """What is at a path. `check` may answer the upgrade with something else."""

    socket: Socket
    serve: Callable[[Link], Awaitable[None]]
    check: Callable[[Link, Request], Response | None] = lambda _link, _request: None


class Listening:
    """`routes` are by their exact paths; everything else is answered with 403."""

    def __init__(
        self,
        address: str,
        port: int,
        tls: ssl.SSLContext | None,
        routes: Mapping[str, Route],
        faults: Faults,
    ) -> None:
        self._address, self._port, self._tls = address, port, tls
        self._routes, self._faults = routes, faults
        self._links: set[Link] = set()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"{'wss' if self._tls else 'ws'}://{self._address}:{self._port}"

    async def start(self) -> None:
        """After a stop on the same port as before."""
        self._server = await serve(
            self._serve,
            self._address,
            self._port,
            ssl=self._tls,
            process_request=self._at_upgrade,
            open_timeout=OPEN_TIMEOUT_S,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PONG_TIMEOUT_S,
            max_size=MAX_MESSAGE_BYTES,
            create_connection=partial(Link, known=self._links),  # type: ignore[arg-type] # any factory will do
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self, code: int) -> None:
        """Closes every connection with `code`."""
        if self._server is None:
            return
        server, self._server = self._server, None
        for link in tuple(self._links):
            if link.muted or link not in server.all_connections:
                link.shut()  # nobody to say goodbye to: unheard, or in the middle of the handshake
        server.close(code=code)
        await server.wait_closed()

    async def _at_upgrade(self, connection: ServerConnection, request: Request) -> Response | None:
        assert isinstance(connection, Link)
        route = self._route(request)
        fault = await self._faults.at_upgrade(connection, route.socket if route else "agent")
        if fault is not None:
            return fault
        return route.check(connection, request) if route else connection.respond(403, "")

    async def _serve(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Link)
        assert connection.request is not None
        route = self._route(connection.request)
        assert route is not None, "_at_upgrade() answers 403 to all others"
        await route.serve(connection)

    def _route(self, request: Request) -> Route | None:
        return self._routes.get(request.path.partition("?")[0])
