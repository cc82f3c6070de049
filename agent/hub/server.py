"""The reference server: one in-memory DockMon for demos, tests and development."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Literal, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from agent.clock import utcnow
from agent.hub import requests
from agent.hub.events import ContainerEvent, read_event
from agent.hub.faults import Faults
from agent.hub.host import Host
from agent.hub.inventory import read_list
from agent.hub.link import Link
from agent.hub.registration import (
    Newcomer,
    Refused,
    Registration,
    RegistrationToken,
    RemoteHost,
    admit,
    read_registration,
)
from agent.hub.replies import (
    MalformedFrame,
    RequestFailed,
    answered_id,
    is_reply,
    parse,
    read_reply,
)

logger = logging.getLogger(__name__)

AGENT_PATH = "/api/agent/ws"
MAX_MESSAGE_BYTES = 16 * 2**20
REGISTER_TIMEOUT_S = 30.0
OPEN_TIMEOUT_S = 60.0  # far beyond an agent's patience, so that it is the agent that gives up
PING_INTERVAL_S = 20.0
PONG_TIMEOUT_S = 20.0
POLL_FLOOR_S = 5.0  # the server caches a container list for that long
JOURNAL_ENTRIES = 10_000
EVENTS_PER_HOST = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A frame that was read or written. `at` is loop time in seconds; `host_id` None: not registered."""

    at: float
    host_id: str | None
    direction: Literal["in", "out"]
    frame: dict[str, Any]


class Hub:
    """A DockMon server, as strict as the real one, for agents on this machine.

    Args:
        port: 0 takes a free one; see `url`.
        poll_s: The period of the polling loop, 2 with a viewer and 10 without; each host is asked for its
            containers at most every 5 s. None: no polling.
        new_id: Makes the ids of hosts, agents, tokens and requests. Seed it to repeat a scenario.
        tls: Makes it `wss`.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        poll_s: float | None = 10.0,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.hosts: dict[str, Host] = {}
        self.remote_hosts: list[RemoteHost] = []
        self.local_engine_ids: set[str] = set()
        self.journal: deque[Entry] = deque(maxlen=JOURNAL_ENTRIES)
        self.faults = Faults(self.hosts)
        self._address, self._port, self._tls = host, port, tls
        self._poll_s = poll_s
        self._new_id = new_id
        self._routes: dict[str, Callable[[Link], Awaitable[None]]] = {AGENT_PATH: self._serve_agent}
        self._tokens: dict[str, RegistrationToken] = {}
        self._events: dict[str, deque[ContainerEvent]] = {}
        self._pending: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._listeners: list[Callable[[Entry], None]] = []
        self._links: set[Link] = set()
        self._changed = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._polling: asyncio.Task[None] | None = None
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        await self.start_listening()
        if self._poll_s is not None:
            self._polling = self._tasks.create_task(self._poll(self._poll_s))
        return self

    async def __aexit__(self, *exc: Any) -> None:
        if self._polling is not None:
            self._polling.cancel()
        await self.stop_listening()
        # What ended the block concerns no task: passed on, it would come back wrapped in a group.
        await self._tasks.__aexit__(None, None, None)

    @property
    def url(self) -> str:
        return f"{'wss' if self._tls else 'ws'}://{self._address}:{self._port}"

    async def start_listening(self) -> None:
        """Accepts agents, after a stop on the same port as before."""
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

    async def stop_listening(self, code: int = 1012) -> None:
        """Closes every connection with `code`, as a server that restarts. What it knows it keeps."""
        if self._server is None:
            return
        server, self._server = self._server, None
        for link in tuple(self._links):
            if link.muted or link not in server.all_connections:
                link.shut()  # nobody to say goodbye to: unheard, or in the middle of the handshake
        server.close(code=code)
        await server.wait_closed()

    # What an operator does.

    def new_token(
        self, uses: int | None = 1, ttl_s: float | None = 900.0, value: str | None = None
    ) -> str:
        """A registration token, good for `uses` new hosts (None: any number) in `ttl_s` (None: for ever)."""
        token = value or self._new_id()
        expires_at = None if ttl_s is None else utcnow() + timedelta(seconds=ttl_s)
        self._tokens[token] = RegistrationToken(expires_at, uses)
        return token

    def delete_host(self, host_id: str) -> None:
        """Forgets the host. Its socket stays open, and nothing is routed to it any more."""
        del self.hosts[host_id]

    async def request(
        self,
        host_id: str,
        name: str,
        payload: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        id: str | None = None,  # noqa: A002  the wire's word
        kind: requests.Kind | None = None,
    ) -> Any:
        """Asks the agent for a command or a container operation and returns the result in its reply.

        Args:
            timeout_s: None: what the server grants this request.
            id: None: a new one. Give one to repeat a request.
            kind: None: what the server sends this name as; a few names exist as both.

        Raises:
            RequestFailed: An error in the reply, no reply in time, not connected, or the circuit is open.
        """
        loop = asyncio.get_running_loop()
        if (host := self.hosts.get(host_id)) is None:
            raise RequestFailed(f"There is no host {host_id}", "unknown_host")
        if not host.breaker.allows(loop.time()):
            text = f"Circuit breaker is open for {host.name}: too many requests failed"
            raise RequestFailed(text, "circuit_open")
        kind = kind or requests.kind_of(name)
        if timeout_s is None:
            timeout_s = requests.timeout_s(kind, name, payload or {})
        request = requests.frame(kind, name, payload, id or self._new_id())
        try:
            result = await self._exchange(host, request, timeout_s)
        except RequestFailed:
            host.breaker.failed(loop.time())
            raise
        host.breaker.succeeded(loop.time())
        return result

    async def send(self, host_id: str, frame: Mapping[str, Any] | str | bytes) -> None:
        """Sends a frame as it is: what no server would send, or no reply is expected to."""
        host = self.hosts[host_id]
        if host.link is None:
            raise LookupError(f"{host.name} is not connected")
        if isinstance(frame, Mapping):
            await self._write(host.link, dict(frame), host.id)
        else:
            await host.link.send(frame)

    # What an observer sees.

    def events(self, host_id: str) -> list[ContainerEvent]:
        """The container events that had an effect, in order of arrival; the newest ten thousand."""
        return list(self._events.get(host_id, ()))

    def listen(self, callback: Callable[[Entry], None]) -> Callable[[], None]:
        """Calls back with every frame from now on. The result ends that."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    async def wait_for(self, predicate: Callable[[Entry], bool], timeout_s: float) -> Entry:
        """The first frame in the journal, or yet to come, for which `predicate` is true.

        Raises:
            TimeoutError: None came in time.
        """
        for entry in self.journal:
            if predicate(entry):
                return entry
        found: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()

        def look(entry: Entry) -> None:
            # A predicate that stumbles over a frame fails whoever waits on it, not the connection.
            try:
                if not found.done() and predicate(entry):
                    found.set_result(entry)
            except Exception as error:
                found.set_exception(error)

        forget = self.listen(look)
        try:
            async with asyncio.timeout(timeout_s):
                return await found
        finally:
            forget()

    async def host_online(self, timeout_s: float) -> Host:
        """The first host that is online, waiting for one if need be.

        Raises:
            TimeoutError: None came online in time.
        """
        async with asyncio.timeout(timeout_s):
            while True:
                for host in self.hosts.values():
                    if host.online:
                        return host
                await self._changed.wait()

    # Connections.

    async def _at_upgrade(self, connection: ServerConnection, request: Request) -> Response | None:
        assert isinstance(connection, Link)
        if (response := await self.faults.at_upgrade(connection)) is not None:
            return response
        if request.path.partition("?")[0] not in self._routes:
            return connection.respond(403, "")
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Link)
        assert connection.request is not None
        await self._routes[connection.request.path.partition("?")[0]](connection)

    async def _serve_agent(self, link: Link) -> None:
        try:
            if (host := await self._authenticate(link)) is not None:
                await self._converse(link, host)
        except MalformedFrame as error:
            logger.error("closing a connection: %s", error)
            await link.close(1011, "Internal error")
        except ConnectionClosed:
            pass

    async def _authenticate(self, link: Link) -> Host | None:
        """The host that `link` may speak for, or None: refused and closed."""
        try:
            async with asyncio.timeout(REGISTER_TIMEOUT_S):
                frame = parse(await link.recv())
        except TimeoutError:
            await self._turn_away(link, "Authentication timeout", "Authentication timeout")
            return None
        try:
            host = self._admit(read_registration(frame))
        except Refused as refusal:
            self._record(None, "in", frame)
            await self._turn_away(link, str(refusal), "Authentication failed")
            return None
        self._record(host.id, "in", frame)
        host.registration = frame
        return host

    def _admit(self, registration: Registration) -> Host:
        admission = admit(
            registration,
            utcnow(),
            tokens=self._tokens,
            hosts=self.hosts.values(),
            remote_hosts=self.remote_hosts,
            local_engine_ids=self.local_engine_ids,
        )
        if isinstance(admission, Newcomer):
            admission.token.use()
            if admission.migrates is not None:
                self.remote_hosts.remove(admission.migrates)
            agent_id, host_id = self._new_id(), self._new_id()
            host = Host(host_id, agent_id, registration.engine_id, admission.name)
            self.hosts[host.id] = host
        else:
            host = admission.host
            host.name = admission.name
        host.facts |= registration.facts
        return host

    async def _turn_away(self, link: Link, error: str, reason: str) -> None:
        await self._write(link, {"type": "auth_error", "error": error}, None)
        await link.close(1008, reason)

    async def _converse(self, link: Link, host: Host) -> None:
        """Welcomes the agent, then reads one message after the other until the connection ends."""
        older, host.link = host.link, link
        if older is not None:
            # In a task of its own: the older one may be half-open and take its time to close.
            self._tasks.create_task(older.close(1000, "New connection established"))
        host.connections += 1
        host.last_seen_at = utcnow()
        self._set_online(host, None)
        try:
            await self._welcome(link, host)
            async for message in link:
                frame = parse(message)
                self._read(host, frame)
                self._record(host.id, "in", frame)  # afterwards, so that listeners see its effect
        finally:
            if host.link is link:
                host.link = None
                host.last_seen_at = utcnow()
                self._set_online(host, "Agent disconnected")

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
        if is_reply(frame):
            request_id = answered_id(frame)
            waiting = self._pending.get(request_id) if isinstance(request_id, str) else None
            if waiting is None or waiting.done():
                logger.warning("ignoring a reply to %r: nothing waits for it", request_id)
            else:
                waiting.set_result(frame)
        elif frame.get("type") == "heartbeat":
            host.last_seen_at = utcnow()
        elif event := read_event(frame, asyncio.get_running_loop().time()):
            self._events.setdefault(host.id, deque(maxlen=EVENTS_PER_HOST)).append(event)

    def _set_online(self, host: Host, error: str | None) -> None:
        host.online, host.error = error is None, error
        self._changed.set()
        self._changed.clear()  # those who wait have been woken by now and look for themselves

    # Requests.

    async def _exchange(self, host: Host, request: dict[str, Any], timeout_s: float) -> Any:
        """Sends and awaits the reply, over whichever connection it comes: a lost one fails nothing."""
        if host.link is None:
            raise RequestFailed("Agent is not connected", "offline")
        if (request_id := request["id"]) in self._pending:
            raise ValueError(f"request {request_id} is already in flight")
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = reply
        try:
            async with asyncio.timeout(timeout_s):
                await self._write(host.link, request, host.id)
                return read_reply(await reply)
        except TimeoutError:
            text = f"Command timed out after {timeout_s:g} s"
            raise RequestFailed(text, "timeout") from None
        except ConnectionClosed:
            raise RequestFailed("The request could not be sent", "send_failed") from None
        finally:
            del self._pending[request_id]

    async def _poll(self, period_s: float) -> None:
        """Asks the hosts for their containers, one host after the other: a slow one delays the rest."""
        loop = asyncio.get_running_loop()
        while True:
            for host in list(self.hosts.values()):
                if host.link is None or host.link.silent:
                    continue
                if host.polled_at_s is None or loop.time() - host.polled_at_s >= POLL_FLOOR_S:
                    host.polled_at_s = loop.time()
                    await self._poll_host(host)
            await asyncio.sleep(period_s)

    async def _poll_host(self, host: Host) -> None:
        try:
            result = await self.request(host.id, "list_containers")
        except RequestFailed as error:
            self._set_online(host, error.text)
            return
        host.containers, host.skipped_containers = read_list(result)
        host.listed_at = utcnow()
        if host.link is not None:
            self._set_online(host, None)

    # Frames.

    async def _write(self, link: Link, frame: dict[str, Any], host_id: str | None) -> None:
        self._record(host_id, "out", frame)
        await link.send(json.dumps(frame))

    def _record(
        self, host_id: str | None, direction: Literal["in", "out"], frame: dict[str, Any]
    ) -> None:
        entry = Entry(asyncio.get_running_loop().time(), host_id, direction, frame)
        self.journal.append(entry)
        for callback in tuple(self._listeners):
            callback(entry)
