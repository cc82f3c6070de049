"""Counts what goes over a link, without the link knowing."""

from __future__ import annotations

from collections.abc import Sequence

from agent.console.demo_scene import Traffic
from agent.ports import Link, Server


class MeteredServer:
    """`server`, and how much all links to it have carried: messages as they were given, before any compression."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.sent, self.received = Traffic(), Traffic()

    async def dial(self, *, deadline_s: float) -> Link:
        return _MeteredLink(await self._server.dial(deadline_s=deadline_s), self)


class _MeteredLink:
    def __init__(self, link: Link, meter: MeteredServer) -> None:
        self._link, self._meter = link, meter

    async def receive(self) -> str | bytes:
        message = await self._link.receive()
        length = len(message.encode() if isinstance(message, str) else message)
        self._meter.received = _more(self._meter.received, [length])
        return message

    async def send(self, messages: Sequence[bytes], *, progress_s: float) -> None:
        await self._link.send(messages, progress_s=progress_s)
        self._meter.sent = _more(self._meter.sent, [len(message) for message in messages])

    async def ping(self, *, deadline_s: float) -> None:
        await self._link.ping(deadline_s=deadline_s)

    async def close(self, code: int, reason: str, *, deadline_s: float) -> None:
        await self._link.close(code, reason, deadline_s=deadline_s)

    def abort(self) -> None:
        self._link.abort()


def _more(traffic: Traffic, lengths: Sequence[int]) -> Traffic:
    return Traffic(traffic.messages + len(lengths), traffic.bytes + sum(lengths))
