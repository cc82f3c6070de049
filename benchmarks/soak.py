"""`make soak`: half an hour of what wears an agent out, and what is left of it: memory, descriptors, threads, events.

Ten containers start and stop each second, or as fast as the engine can; the server goes away once a minute; a shell
and a log flood. The limits are told at the end, and the exit status says whether all of them hold. SOAK_SECONDS makes
it shorter.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from engine import RUN_LABEL, connect
from integration.agent_process import AgentProcess

from agent.console.witness import Witness
from benchmarks import processes
from benchmarks.stage import ServerFailed, ServerProcess, Stage, stage
from benchmarks.verdict import Held, lines, most, verdict

SECONDS = 1800.0
WARM_UP_S = 180.0
"""Or a quarter of a shorter soak: until buffers and caches have seen what there is to see."""

CHURNING = 10
ROUND_S = 1.0
RESTART_EVERY_S = 60.0
AWAY_S = 3.0
PROGRESS_EVERY_S = 60.0
COMMAND_EVERY_S = 1.0
CALM_S = 25.0
"""After the last round: for what is on its way to arrive, and for what was in use to be let go."""

TALKATIVE = ["sh", "-c", "trap 'exit 0' TERM; yes $(head -c 70 /dev/zero | tr '\\0' x) & wait"]
TALKATIVE_HOST = {
    "log_config": {"type": "json-file", "config": {"max-size": "20m", "max-file": "2"}},
    "nano_cpus": 100_000_000,  # or the flood would be all that this machine does
}


@dataclass(slots=True)
class Told:
    """What the server got, and what was seen on the way. Events are counted by whose, what and when."""

    events: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    worst_command_ms: float = 0.0
    commands: int = 0
    rounds: int = 0
    restarts: int = 0


class Soak:
    """One soak on a stage.

    Args:
        say: Told how it goes.
    """

    def __init__(self, here: Stage, seconds: float, say: Callable[[str], None]) -> None:
        self._here, self._seconds, self._say = here, seconds, say
        self._told = Told()
        self._server: ServerProcess
        self._agent: AgentProcess
        self._is_away = asyncio.Lock()
        self._over = asyncio.Event()

    async def run(self) -> tuple[list[str], bool]:
        """What came of it, and whether all limits hold."""
        here = self._here
        churned = [await here.do(here.containers.create, "churn") for _ in range(CHURNING)]
        shell = await here.do(here.containers.run, "shell")
        talkative = await here.do(
            lambda: here.containers.run("log", TALKATIVE, host=TALKATIVE_HOST)
        )
        ids = {each.id[:12] for each in churned}
        async with here.server() as self._server, here.agent(self._server) as self._agent:
            # The ring is adopted at the first start; what happens from here on has to arrive.
            await asyncio.sleep(5.0)
            async with self._witness() as witness:
                warm = await self._endure([each.id for each in churned], shell.id, talkative.id)
                emitted = Counter({key: n for key, n in _flat(witness).items() if key[0] in ids})
            await self._collect()
            end = self._held()
            complaints = await self._server.ask("complaints")
            self._agent.send_signal(signal.SIGTERM)
            status = await self._agent.ends()
        lost = emitted - self._told.events
        found = verdict(
            warm,
            end,
            emitted=emitted.total(),
            lost=lost.total(),
            worst_command_ms=self._told.worst_command_ms,
            exit_status=status,
        )
        told = self._told
        return [
            f"{told.rounds} rounds of {CHURNING} starts and stops, as fast as the engine could up to one a second, "
            f"{told.restarts} restarts of the server, "
            f"{told.commands} commands",
            *lines(found),
            *(f"the server disliked: {text}" for text in complaints),
        ], all(each.holds for each in found)

    async def _endure(self, churned: list[str], shell: str, talkative: str) -> Held:
        """Everything at once, for as long as it takes; returns what the agent held once it was warm."""
        warm_up_s = min(WARM_UP_S, self._seconds / 4)
        async with asyncio.TaskGroup() as at_once:
            at_once.create_task(self._churn(churned))
            at_once.create_task(self._restart_the_server())
            at_once.create_task(self._flood(shell, talkative))
            at_once.create_task(self._command())
            at_once.create_task(self._report())
            await asyncio.sleep(warm_up_s)
            # Floods and connections come and go: a single look would say more of its moment than of the agent.
            looks = []
            for _ in range(10):
                looks.append(self._held())
                await asyncio.sleep(1.0)
            warm = most(looks)
            await asyncio.sleep(max(0.0, self._seconds - warm_up_s - 10.0))
            self._over.set()
        await self._server.ask("rest")
        await asyncio.sleep(CALM_S)
        return warm

    def _held(self) -> Held:
        pid = self._agent.pid
        memory = processes.memory(pid)
        return Held(memory.rss, processes.descriptors(pid), processes.stat(pid).threads)

    async def _churn(self, churned: list[str]) -> None:
        here, loop = self._here, asyncio.get_running_loop()
        clients = [connect(here.url) for _ in churned]
        with ThreadPoolExecutor(len(churned)) as hands:

            def turn(index: int) -> None:
                clients[index].start(churned[index])
                clients[index].stop(churned[index], timeout=2)

            while not self._over.is_set():
                began_s = loop.time()
                turns = (loop.run_in_executor(hands, turn, index) for index in range(len(churned)))
                await asyncio.gather(*turns)
                self._told.rounds += 1
                await self._pause(max(0.0, ROUND_S - (loop.time() - began_s)))
        for client in clients:
            client.close()

    async def _restart_the_server(self) -> None:
        while await self._pause(RESTART_EVERY_S):
            async with self._is_away:
                await self._server.ask("restart", away_s=AWAY_S)
                await self._server.ask("online")
                self._told.restarts += 1

    async def _flood(self, shell: str, talkative: str) -> None:
        """Begun again after each outage, which ends a shell."""
        while await self._pause(2.0):
            async with self._is_away:
                with contextlib.suppress(ServerFailed):
                    await self._server.ask("flood", shell=shell, log=talkative)

    async def _command(self) -> None:
        while await self._pause(COMMAND_EVERY_S):
            async with self._is_away:
                # One that an outage came between is not the agent's.
                with contextlib.suppress(ServerFailed):
                    (took_ms,) = await self._server.ask("commands", count=1)
                    self._told.worst_command_ms = max(self._told.worst_command_ms, took_ms)
                    self._told.commands += 1
                await self._collect()

    async def _report(self) -> None:
        began_s = asyncio.get_running_loop().time()
        while await self._pause(PROGRESS_EVERY_S):
            elapsed_s = asyncio.get_running_loop().time() - began_s
            held, told = self._held(), self._told
            self._say(
                f"{elapsed_s / 60:3.0f} min: RSS {held.rss_mb:.1f} MB, {held.descriptors} descriptors, "
                f"{held.threads} threads, {told.rounds} rounds, {told.events.total()} events, "
                f"{told.restarts} restarts, worst command {told.worst_command_ms:.0f} ms"
            )

    async def _collect(self) -> None:
        for container, action, at_us, _ in await self._server.ask("events"):
            self._told.events[container, action, at_us] += 1

    async def _pause(self, seconds: float) -> bool:
        """False once the soak is over, and then at once."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
        return not self._over.is_set()

    @contextlib.asynccontextmanager
    async def _witness(self) -> AsyncIterator[Witness]:
        """Reads the engine's events by itself, on a thread of its own."""
        label = f"{RUN_LABEL}={self._here.containers.run_id}"
        witness = Witness(lambda: connect(self._here.url), label)
        with ThreadPoolExecutor(1) as eyes:
            watching = asyncio.get_running_loop().run_in_executor(eyes, witness.watch)
            try:
                yield witness
                assert not watching.done(), "the engine hung up on the witness: nothing was proved"
            finally:
                witness.close()
                await watching


def _flat(witness: Witness) -> Counter[tuple[str, str, int]]:
    return Counter(
        {
            (key.container_id, key.action, round(key.at.timestamp() * 1e6)): count
            for key, count in witness.emitted.items()
        }
    )


async def main(seconds: float) -> bool:
    async with stage() as here:
        told, holds = await Soak(here, seconds, _say).run()
    _say("\n".join(told))
    return holds


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  a soak reports


if __name__ == "__main__":
    sys.exit(not asyncio.run(main(float(os.environ.get("SOAK_SECONDS") or SECONDS))))
