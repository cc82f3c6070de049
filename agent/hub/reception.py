"""The first frame of an agent: who it is, and whether it may stay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from agent.clock import utcnow
from agent.hub.asking import Complain
from agent.hub.exchange import Write
from agent.hub.host import Host
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
from agent.hub.replies import parse

REGISTER_TIMEOUT_S = 30.0


class Reception:
    """Adds hosts to `hosts`; `record` is told of what an agent said first, with the host it turned out to be."""

    def __init__(
        self,
        hosts: dict[str, Host],
        *,
        write: Write,
        record: Callable[[str | None, dict[str, Any]], None],
        complain: Complain,
        new_id: Callable[[], str],
    ) -> None:
        self.remote_hosts: list[RemoteHost] = []
        self.local_engine_ids: set[str] = set()
        self._hosts, self._write, self._record = hosts, write, record
        self._complain, self._new_id = complain, new_id
        self._tokens: dict[str, RegistrationToken] = {}

    def new_token(self, uses: int | None, ttl_s: float | None, value: str | None) -> str:
        """What `Hub.new_token` says."""
        token = value or self._new_id()
        expires_at = None if ttl_s is None else utcnow() + timedelta(seconds=ttl_s)
        self._tokens[token] = RegistrationToken(expires_at, uses)
        return token

    async def authenticate(self, link: Link) -> Host | None:
        """The host that `link` may speak for, or None: refused and closed."""
        try:
            async with asyncio.timeout(REGISTER_TIMEOUT_S):
                frame = parse(await link.recv())
        except TimeoutError:
            await self._turn_away(link, "Authentication timeout", "Authentication timeout")
            return None
        try:
            host = self._admit(self._read(frame))
        except Refused as refusal:
            self._record(None, frame)
            await self._turn_away(link, str(refusal), "Authentication failed")
            return None
        self._record(host.id, frame)
        host.registration = frame
        return host

    def _read(self, frame: dict[str, Any]) -> Registration:
        try:
            return read_registration(frame)
        except Refused as refusal:
            self._complain(None, str(refusal))
            raise

    def _admit(self, registration: Registration) -> Host:
        admission = admit(
            registration,
            utcnow(),
            tokens=self._tokens,
            hosts=self._hosts.values(),
            remote_hosts=self.remote_hosts,
            local_engine_ids=self.local_engine_ids,
        )
        if isinstance(admission, Newcomer):
            admission.token.use()
            if admission.migrates is not None:
                self.remote_hosts.remove(admission.migrates)
            agent_id, host_id = self._new_id(), self._new_id()
            host = Host(host_id, agent_id, registration.engine_id, admission.name)
            self._hosts[host.id] = host
        else:
            host = admission.host
            host.name = admission.name
        host.facts |= registration.facts
        return host

    async def _turn_away(self, link: Link, error: str, reason: str) -> None:
        await self._write(link, {"type": "auth_error", "error": error}, None)
        await link.close(1008, reason)
