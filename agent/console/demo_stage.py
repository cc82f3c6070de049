"""Sets the demo up, has it played, and clears everything away, however it ended."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from agent.adapters.engine import DockerEngine, Endpoint
from agent.adapters.store import SqliteStore
from agent.adapters.websocket import WebSocketServer
from agent.assembly import Agent
from agent.console.acts.hands import Failed, Hands
from agent.console.bystander import Bystander, BystanderFailed
from agent.console.demo_agent import demo_agent
from agent.console.demo_scene import Fact, Report, Scene
from agent.console.demo_script import PAUSES_S, STEPS, Script
from agent.console.demo_watch import Watch
from agent.console.meter import MeteredServer
from agent.console.page import Page
from agent.console.witness import Key, received
from agent.core.machine import StopRequested
from agent.equipment import equipped
from agent.features.catalogue import Equipment
from agent.hub.server import Hub
from agent.ports import EngineError, EngineFacts

POLL_S = 2.0
"""As often as the server does while somebody looks at the host."""

BUSY_S = 24.0
"""What engine and link take of a run, beside the pauses."""

MAX_PACE = 3.0
"""However long it may take, nobody wants to look at one thing for longer."""

RESERVED_S = 2.0
"""Of a given time, for clearing away."""

FACTS_S = 10.0
SETTLE_S = 2.0
STOP_S = 3.0

PENDING = 1000
"""More events than wait in the journal after half a minute on a busy host."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Show(Protocol):
    """How the demo is seen."""

    @property
    def log(self) -> Sequence[str]:
        """The newest lines of the agent's log, where they are part of the picture."""

    def tell(self, fact: Fact) -> None: ...

    async def paint(self, scene: Callable[[], Scene]) -> None:
        """Shows what `scene` returns, until cancelled or until nobody looks any more."""


class Stage:
    """One run of the demo.

    Args:
        learn: Told each secret before it is used.
        seconds: The longest it may take, or None.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        show: Show,
        *,
        learn: Callable[[str], None],
        seconds: float | None,
    ) -> None:
        self._endpoint, self._show, self._learn, self._seconds = endpoint, show, learn, seconds
        self.signal: signal.Signals | None = None
        """What interrupted it."""

    async def run(self) -> Report:
        """Plays it.

        Raises:
            Failed: It could not even begin.
        """
        engine = DockerEngine(self._endpoint)
        try:
            facts = await self._know(engine)
            with tempfile.TemporaryDirectory(prefix="dockmon-agent-demo-") as directory:
                return await self._in(Path(directory), engine, facts)
        finally:
            await engine.close()

    async def _in(self, directory: Path, engine: DockerEngine, facts: EngineFacts) -> Report:
        store = SqliteStore(directory)
        try:
            async with (
                Hub(poll_s=POLL_S) as hub,
                equipped(
                    engine,
                    self._endpoint,
                    None,
                    environ=os.environ,
                    data_path=directory,
                    stacks_dir=directory / "stacks",
                ) as equipment,
            ):
                return await self._with(hub, engine, store, equipment, facts)
        finally:
            await store.close()

    async def _know(self, engine: DockerEngine) -> EngineFacts:
        try:
            return await engine.facts(deadline_s=FACTS_S)
        except EngineError as error:
            raise Failed(f"the demo needs a Docker engine, and none answers. {error}") from None

    async def _with(
        self,
        hub: Hub,
        engine: DockerEngine,
        store: SqliteStore,
        equipment: Equipment,
        facts: EngineFacts,
    ) -> Report:
        meter = MeteredServer(WebSocketServer(f"{hub.url}/api/agent/ws"))
        agent = demo_agent(hub, engine, store, meter, equipment, learn=self._learn)
        watch = Watch(
            hub,
            agent,
            meter,
            place=f"Docker {facts.version} on {facts.name}, {self._endpoint}",
            steps=[step.title for step in STEPS],
            tell=self._show.tell,
            log=self._show.log,
        )
        watch.say("engine", f"is {watch.place}")
        watch.say("server", f"listens at {hub.url}, in this process")
        async with Page() as page, asyncio.TaskGroup() as tasks:
            running = tasks.create_task(agent.runtime.run(), name="agent")
            painting = tasks.create_task(self._show.paint(watch.scene), name="view")
            bystander = Bystander(self._endpoint, engine, tasks)
            script = Script(Hands(hub, agent, watch, bystander, page, pace=self._pace()))
            playing = tasks.create_task(_outcome(script), name="script")
            left_behind: list[str] = []
            try:
                self._heed_signals(playing)
                failure, ended_early = await self._until_over(playing, painting, watch)
                emitted, waiting = await self._settled(bystander, watch, store)
            finally:
                await _stop(agent, running)  # first, for what it is at may make something yet
                left_behind = await bystander.clear()
                painting.cancel()
        return watch.report(
            emitted,
            waiting,
            failure=failure,
            ended_early=ended_early,
            skipped=script.skipped,
            left_behind=left_behind,
        )

    # Playing

    def _pace(self) -> float:
        if self._seconds is None:
            return 1.0
        return min(max((self._seconds - RESERVED_S - BUSY_S) / PAUSES_S, 0.0), MAX_PACE)

    def _heed_signals(self, playing: asyncio.Task[str | None]) -> None:
        def interrupt(signum: signal.Signals) -> None:
            # A second one changes nothing: clearing away is bounded, and is what one waits for.
            self.signal = self.signal or signum
            playing.cancel()

        for signum in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(signum, interrupt, signum)

    async def _until_over(
        self, playing: asyncio.Task[str | None], painting: asyncio.Task[None], watch: Watch
    ) -> tuple[str | None, str | None]:
        """(what went wrong, why it ended early), None for what did not happen."""
        limit_s = None
        if self._seconds is not None:
            limit_s = self._seconds - min(RESERVED_S, self._seconds / 2)
        await asyncio.wait(
            {playing, painting}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
        )
        if playing.done() and not playing.cancelled():
            return playing.result(), None
        playing.cancel()
        await asyncio.wait({playing})
        if self.signal is not None:
            why = f"Interrupted by {self.signal.name}"
        else:
            why = "Nobody reads on" if painting.done() else "The time was up"
        return None, f"{why} in {watch.step}"

    async def _settled(
        self, bystander: Bystander, watch: Watch, store: SqliteStore
    ) -> tuple[Counter[Key], Counter[Key]]:
        """(what the engine emitted, what the journal holds of it), when the agent has had time to journal the last."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + SETTLE_S
        while True:
            rows = await store.pending(PENDING)
            keys = (received(row.payload) for row in rows)
            emitted, waiting = bystander.emitted, Counter(key for key in keys if key is not None)
            is_settled = emitted.keys() <= watch.arrived.keys() | waiting.keys()
            if is_settled or loop.time() >= until_s:
                return emitted, waiting
            await asyncio.sleep(0.05)


async def _outcome(script: Script) -> str | None:
    """What went wrong, or None."""
    try:
        await script.play()
    except (Failed, BystanderFailed) as failed:
        return str(failed)
    return None


async def _stop(agent: Agent, running: asyncio.Task[None]) -> None:
    if not running.done():
        agent.runtime.post(StopRequested("the demo is over"))
        await asyncio.wait({running}, timeout=STOP_S)
        running.cancel()
