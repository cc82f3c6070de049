"""The agent that the demo shows: as the daemon has it, but for what would only make people wait."""

from __future__ import annotations

import random
from collections.abc import Callable

from agent import __version__
from agent.adapters.engine import DockerEngine
from agent.adapters.host import LinuxHost
from agent.adapters.no_update import NoSelfUpdate
from agent.adapters.store import SqliteStore
from agent.adapters.websocket import WebSocketServer
from agent.assembly import Agent, Ports, assemble
from agent.clock import utcnow
from agent.core.backoff import Backoff
from agent.features.catalogue import Equipment, catalogue
from agent.hub.server import Hub
from agent.ports import Server
from agent.runtime.registrar import Presentation
from agent.settings import Credentials

BACKOFF = Backoff(initial_s=1.0, max_s=4.0)
"""As the agent's own, but with an end that nobody has to wait for."""

SEED = 14
"""Of all that is left to chance: one with which the first health check is made within two seconds."""


class QuietBeat:
    """Nothing watches over a demo but whoever looks at it."""

    def pulse(self, states: object) -> None: ...


def demo_agent(
    hub: Hub,
    engine: DockerEngine,
    store: SqliteStore,
    server: Server,
    equipment: Equipment,
    *,
    learn: Callable[[str], None],
) -> Agent:
    """An agent that may register once at `hub`, where `server` leads. `learn` is told each secret before it is used."""
    token = hub.new_token()
    learn(token)
    return assemble(
        Ports(
            server=server,
            history=lambda token: WebSocketServer(f"{hub.url}/api/stats/ws/ingest", bearer=token),
            engine=engine,
            store=store,
            host=LinuxHost(contained=False),
            update=lambda *_: NoSelfUpdate(),
            beat=QuietBeat(),
            clock=utcnow,
            rng=random.Random(SEED),  # noqa: S311  jitter, no secret
        ),
        Presentation(version=__version__, proto_version="1.1"),
        backoff=BACKOFF,
        credentials=lambda: Credentials(registration_token=token, permanent_token=None),
        features=lambda services, history: catalogue(services, equipment, history),
        learn=learn,
    )
