"""The reference server: one in-memory DockMon for demos, tests and development."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Self

from agent.clock import utcnow
from agent.hub import requests
from agent.hub.agent_socket import AgentSocket
from agent.hub.answers import Answer
from agent.hub.asking import Desk
from agent.hub.checks import Checks
from agent.hub.deployments import Deployment, Deployments, DeployRequest
from agent.hub.event_log import EventLog, LogEntry
from agent.hub.events import ContainerEvent, ContainerEvents
from agent.hub.exchange import Exchange
from agent.hub.faults import Faults
from agent.hub.host import Host
from agent.hub.inbox import Inbox
from agent.hub.ingest import INGEST_PATH, Ingest
from agent.hub.journal import Entry, Journal
from agent.hub.link import Link
from agent.hub.listening import Listening, Route
from agent.hub.metrics import Metrics
from agent.hub.polling import Polling
from agent.hub.progress import Track
from agent.hub.reception import Reception
from agent.hub.shapes import AgentProgress, LayerProgress, UpdateProgress
from agent.hub.shells import Shell, Shells
from agent.hub.updates import UpdateResult, Updates
from agent.hub.waiting import Signal

logger = logging.getLogger(__name__)

AGENT_PATH = "/api/agent/ws"
MAX_COMPLAINTS = 10_000


class Hub:
    """A DockMon server, as strict as the real one, for agents on this machine.

    `complaints` are what a flawless agent gives no cause for: with the ID of its host (None: not registered),
    whatever the server drops, stumbles over or shows wrongly. The first ten thousand.

    Args:
        port: 0 takes a free one; see `url`.
        poll_s: The period of the polling loop, 2 with a viewer and 10 without; each host is asked for its
            containers at most every 5 s. None: no polling.
        new_id: Makes the ids of hosts, agents, tokens, requests, sessions and deployments. Seed it to
            repeat a scenario.
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
        self.complaints: list[tuple[str | None, str]] = []
        self.faults = Faults(self.hosts)
        self._journal, self._log = Journal(), EventLog()
        self._changed = Signal()
        self._tasks = asyncio.TaskGroup()

        # What is asked of agents.
        self._exchange = Exchange(self.hosts, self._write, new_id)
        self._desk = Desk(self.hosts, self.request, self._complain)
        self._poll_s = poll_s
        self._poller: asyncio.Task[None] | None = None
        self._polling = Polling(self.hosts, self.ask, self._set_online)
        self.updates = Updates(self.hosts, self.request, self._log)
        self.deployments = Deployments(self.hosts, self.request, self._log, new_id)
        self.shells = Shells(self.send, new_id)

        # What they say.
        self.metrics = Metrics(self.hosts)
        self.checks = Checks()
        self.update_progress = Track(UpdateProgress)
        self.layer_progress = Track(LayerProgress)
        self.agent_progress = Track(AgentProgress)
        self._events = ContainerEvents(self._log)
        self._reception = Reception(
            self.hosts,
            write=self._write,
            record=lambda host_id, frame: self._journal.record(host_id, "in", frame),
            complain=self._complain,
            new_id=new_id,
        )
        self.remote_hosts = self._reception.remote_hosts
        self.local_engine_ids = self._reception.local_engine_ids

        # Where they say it.
        agent = AgentSocket(
            self._reception,
            self._inbox(),
            self._exchange,
            journal=self._journal,
            log=self._log,
            write=self._write,
            complain=self._complain,
            spawn=self._tasks.create_task,
            set_online=self._set_online,
            gone=self.shells.disconnected,
        )
        ingest = Ingest(self.hosts, self._complain)
        self.history = ingest.history
        routes = {
            AGENT_PATH: Route("agent", agent.serve),
            INGEST_PATH: Route("stats", ingest.serve, ingest.at_upgrade),
        }
        self._listening = Listening(host, port, tls, routes, self.faults)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        await self.start_listening()
        if self._poll_s is not None:
            self._poller = self._tasks.create_task(self._polling.run(self._poll_s))
        return self

    async def __aexit__(self, *exc: Any) -> None:
        if self._poller is not None:
            self._poller.cancel()
        await self.stop_listening()
        # What ended the block concerns no task: passed on, it would come back wrapped in a group.
        await self._tasks.__aexit__(None, None, None)

    @property
    def url(self) -> str:
        return self._listening.url

    async def start_listening(self) -> None:
        """Accepts agents, after a stop on the same port as before."""
        await self._listening.start()

    async def stop_listening(self, code: int = 1012) -> None:
        """Closes every connection with `code`, as a server that restarts. What it knows it keeps."""
        await self._listening.stop(code)

    # What an operator does.

    def new_token(
        self, uses: int | None = 1, ttl_s: float | None = 900.0, value: str | None = None
    ) -> str:
        """A registration token, good for `uses` new hosts (None: any number) in `ttl_s` (None: for ever)."""
        return self._reception.new_token(uses, ttl_s, value)

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
        return await self._exchange.request(host_id, name, payload, timeout_s, id, kind)

    async def ask(
        self, host_id: str, name: str, payload: Mapping[str, Any] | None = None
    ) -> Answer:
        """Does what a click in the UI does: the request, with what the server sends before it and makes of its end.

        A listing of containers is kept as if a poll had brought it.
        """
        return await self._desk.ask(host_id, name, payload)

    async def update_container(
        self,
        host_id: str,
        container_id: str,
        new_image: str,
        *,
        registry_auth: Mapping[str, str] | None = None,
        stop_timeout: int = 30,
        health_timeout: int = 120,
    ) -> UpdateResult:
        """Updates a container, and returns when the server shows how that ended: up to 480 s later.

        What the last listing shows with an image of the agent's name is sent as a `self_update` instead.

        Args:
            registry_auth: `username` and `password`.
            stop_timeout: In seconds, as is `health_timeout`.
        """
        return await self.updates.update(
            host_id,
            container_id,
            new_image,
            registry_auth=registry_auth,
            stop_timeout=stop_timeout,
            health_timeout=health_timeout,
        )

    async def update_agent(self, host_id: str, version: str) -> Answer:
        """The host's "update agent" button: it offers another product's image, and waits for nothing but the answer."""
        return await self.updates.update_agent(host_id, version)

    async def self_update(
        self,
        host_id: str,
        image: str,
        version: str,
        *,
        binary_url: str | None = None,
        checksum: str | None = None,
    ) -> Answer:
        """Asks the agent to become that release: an image, or a file with its SHA-256. Waits for the answer only."""
        payload = {
            "image": image,
            "version": version,
            "binary_url": binary_url,
            "checksum": checksum,
        }
        return await self.updates.self_update(host_id, payload)

    async def deploy(self, host_id: str, request: DeployRequest) -> Deployment:
        """Starts a deployment, and returns once it is acknowledged or failed; `Deployment.done` waits for its end."""
        return await self.deployments.deploy(host_id, request)

    async def open_shell(
        self, host_id: str, container_id: str, size: tuple[int, int] | None = (80, 24)
    ) -> Shell:
        """Opens a terminal, which tells its size (columns, rows) at once; None: it does not.

        Raises:
            LookupError: The agent is not connected.
        """
        return await self.shells.open(host_id, container_id, size)

    async def send(self, host_id: str, frame: Mapping[str, Any] | str | bytes) -> None:
        """Sends a frame as it is: what no server would send, or no reply is expected to.

        Raises:
            LookupError: The agent is not connected.
        """
        host = self.hosts[host_id]
        if host.link is None:
            raise LookupError(f"{host.name} is not connected")
        if isinstance(frame, Mapping):
            await self._write(host.link, dict(frame), host.id)
        else:
            await host.link.send(frame)

    # What an observer sees.

    @property
    def journal(self) -> deque[Entry]:
        """Every frame that was read or written, the newest ten thousand."""
        return self._journal.entries

    def events(self, host_id: str) -> list[ContainerEvent]:
        """The container events that had an effect, in order of arrival; the newest ten thousand."""
        return self._events.of(host_id)

    def log(self, host_id: str) -> list[LogEntry]:
        """What the UI lists as the events of the host; the newest ten thousand."""
        return self._log.of(host_id)

    def listen(self, callback: Callable[[Entry], None]) -> Callable[[], None]:
        """Calls back with every frame from now on. The result ends that."""
        return self._journal.listen(callback)

    async def wait_for(self, predicate: Callable[[Entry], bool], timeout_s: float) -> Entry:
        """The first frame in the journal, or yet to come, for which `predicate` is true.

        Raises:
            TimeoutError: None came in time.
        """
        return await self._journal.wait_for(predicate, timeout_s)

    async def host_online(self, timeout_s: float) -> Host:
        """The first host that is online, waiting for one if need be.

        Raises:
            TimeoutError: None came online in time.
        """
        await self._changed.until(lambda: any(h.online for h in self.hosts.values()), timeout_s)
        return next(host for host in self.hosts.values() if host.online)

    def _inbox(self) -> Inbox:
        """Who takes what agents say by themselves."""
        return Inbox(
            events={
                "container_event": self._events.take,
                "container_stats": self.metrics.take_sample,
                "update_progress": self.update_progress.take,
                "update_layer_progress": self.layer_progress.take,
                "update_complete": self.updates.take_complete,
                "selfupdate_progress": self.updates.take_self_update,
                "deploy_progress": self.deployments.take_progress,
                "deploy_complete": self.deployments.take_complete,
                "shell_data": self.shells.take,
                "health_check_result": self.checks.take,
            },
            messages={
                "stats": self.metrics.take_figures,
                "heartbeat": self._heartbeat,
                "error": self._log.take_error,
                "progress": self.agent_progress.take,
            },
        )

    def _set_online(self, host: Host, error: str | None) -> None:
        host.online, host.error = error is None, error
        self._changed.fire()

    async def _write(self, link: Link, frame: dict[str, Any], host_id: str | None) -> None:
        self._journal.record(host_id, "out", frame)
        await link.send(json.dumps(frame))

    def _complain(self, host_id: str | None, text: str) -> None:
        logger.warning("%s: %s", host_id or "an unknown agent", text)
        if len(self.complaints) < MAX_COMPLAINTS:
            self.complaints.append((host_id, text))

    def _heartbeat(self, host: Host, _: Any) -> None:
        host.last_seen_at = utcnow()
        self.updates.take_heartbeat(host)
