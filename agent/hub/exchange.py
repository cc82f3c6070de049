"""Requests and their replies."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from websockets.exceptions import ConnectionClosed

from agent.hub import requests
from agent.hub.host import Host
from agent.hub.link import Link
from agent.hub.replies import RequestFailed, answered_id, read_reply
from agent.hub.shapes import Dropped

logger = logging.getLogger(__name__)

REMEMBERED_IDS = 10_000

Write = Callable[[Link, dict[str, Any], str | None], Awaitable[None]]
"""Sends a frame over a link, for the host of that ID."""


class Exchange:
    def __init__(self, hosts: Mapping[str, Host], write: Write, new_id: Callable[[], str]) -> None:
        self._hosts, self._write, self._new_id = hosts, write, new_id
        self._pending: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._asked: deque[str] = deque(maxlen=REMEMBERED_IDS)

    async def request(
        self,
        host_id: str,
        name: str,
        payload: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        id: str | None = None,  # noqa: A002  the wire's word
        kind: requests.Kind | None = None,
    ) -> Any:
        """What `Hub.request` says."""
        loop = asyncio.get_running_loop()
        if (host := self._hosts.get(host_id)) is None:
            raise RequestFailed(f"There is no host {host_id}", "unknown_host")
        if not host.breaker.allows(loop.time()):
            text = f"Circuit breaker is open for {host.name}: too many requests failed"
            raise RequestFailed(text, "circuit_open")
        kind = kind or requests.kind_of(name)
        if timeout_s is None:
            timeout_s = requests.timeout_s(kind, name, payload or {})
        request = requests.frame(kind, name, payload, id or self._new_id())
        try:
            result = await self._ask(host, request, timeout_s)
        except RequestFailed:
            host.breaker.failed(loop.time())
            raise
        host.breaker.succeeded(loop.time())
        return result

    def settle(self, frame: dict[str, Any]) -> None:
        """Hands a reply to whoever waits for it, over whichever connection it came.

        Raises:
            Dropped: It answers nothing that was ever asked. One that comes late or twice is ignored.
        """
        request_id = answered_id(frame)
        waiting = self._pending.get(request_id) if isinstance(request_id, str) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)
            return
        logger.warning("ignoring a reply to %r: nothing waits for it", request_id)
        if frame.get("type") == "event":
            raise Dropped(f"the event {frame.get('command')} is taken for a reply")
        if request_id not in self._asked:
            raise Dropped(f"a reply to {request_id!r}, which was never asked")

    async def _ask(self, host: Host, request: dict[str, Any], timeout_s: float) -> Any:
        """Sends and awaits the reply, over whichever connection it comes: a lost one fails nothing."""
        if host.link is None:
            raise RequestFailed("Agent is not connected", "offline")
        if (request_id := request["id"]) in self._pending:
            raise ValueError(f"request {request_id} is already in flight")
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = reply
        self._asked.append(request_id)
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
