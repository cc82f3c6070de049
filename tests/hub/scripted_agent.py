"""An agent that says what the test says, over the plain client of the websockets library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from agent.hub.host import Host
from agent.hub.server import Hub

PATIENCE_S = 120.0  # virtual: longer than anything the server lets an agent wait for


def register(token: str, **fields: Any) -> dict[str, Any]:
    """The smallest object that registers, with `fields` over it; None leaves one out."""
    frame = {
        "type": "register",
        "token": token,
        "engine_id": "ENGN:AAAA:BBBB:CCCC",
        "version": "3.0.0",
        "proto_version": "1.1",
        "capabilities": {"self_update": True},
        **fields,
    }
    return {name: value for name, value in frame.items() if value is not None}


class ScriptedAgent:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.welcome: dict[str, Any] = {}

    async def say(self, frame: object) -> None:
        await self.socket.send(json.dumps(frame))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            frame: dict[str, Any] = json.loads(await self.socket.recv())
        return frame

    async def tell(self, name: str, **payload: Any) -> None:
        """Sends an event, and returns when the server has read it."""
        await self.say({"type": "event", "command": name, "payload": payload})
        await self.heard()

    async def heard(self) -> None:
        """Returns when the server has read all that was said: in one loop, a pong never overtakes it."""
        async with asyncio.timeout(PATIENCE_S):
            await (await self.socket.ping())

    async def answer(self, **fields: Any) -> dict[str, Any]:
        """Answers the next request with these fields and returns the request."""
        request = await self.hear()
        await self.say({"correlation_id": request["id"], **fields})
        return request

    async def end(self) -> tuple[int | None, str | None]:
        """The code and reason that the server closed with."""
        async with asyncio.timeout(PATIENCE_S):
            await self.socket.wait_closed()
        return self.socket.close_code, self.socket.close_reason


@asynccontextmanager
async def dial(hub: Hub, path: str = "/api/agent/ws") -> AsyncIterator[ScriptedAgent]:
    """Connected, and nothing said yet. Keepalive is the server's affair alone."""
    async with connect(hub.url + path, ping_interval=None, proxy=None) as socket:
        yield ScriptedAgent(socket)


@asynccontextmanager
async def joined(
    hub: Hub, token: str | None = None, **fields: Any
) -> AsyncIterator[tuple[ScriptedAgent, Host]]:
    """Registered, with a new token unless one is given."""
    async with dial(hub) as agent:
        await agent.say(register(token or hub.new_token(), **fields))
        agent.welcome = await agent.hear()
        assert agent.welcome["type"] == "auth_success", agent.welcome
        yield agent, hub.hosts[agent.welcome["host_id"]]


async def answering(agent: ScriptedAgent, answer: Callable[[dict[str, Any]], Any]) -> None:
    """Answers every request with the payload that `answer` makes of it, until cancelled."""
    while True:
        request = await agent.hear()
        await agent.say({"type": "response", "id": request["id"], "payload": answer(request)})
