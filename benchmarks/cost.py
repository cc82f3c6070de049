"""What this agent costs its host, beside nothing and beside an agent that asks the Engine API, in one run."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from integration.agent_process import AgentProcess

from benchmarks import processes
from benchmarks.figures import (
    Latencies,
    Run,
    Start,
    Window,
    cost_table,
    latency_table,
    plain,
    start_of,
    start_table,
)
from benchmarks.processes import EngineProcesses
from benchmarks.server_process import POLL_S
from benchmarks.stage import ServerProcess, Stage, stage

SETTLE_S = 8.0
"""Until the connections are made and the first samples flow."""

LISTED_S = 2 * POLL_S + 2.0
"""Until the server has asked twice who is there: for the first list everybody is inspected, which comes once."""

LONG = 4
"""How many windows the agent's own is: it looks everything up once a minute, which belongs to what it costs."""

COMMANDS = 200
LISTINGS = 20
RECONNECTS = 5
RESTARTS = 25
"""Of containers, one after the other: three events each."""

_BY_FILES = "control groups"
_BY_API = "Engine API"


@dataclass(slots=True)
class Costs:
    """All that was measured. `source`: where the agent's figures came from, in its own words."""

    windows: list[Window] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    latencies: list[Latencies] = field(default_factory=list)
    source: str = ""
    complaints: list[str] = field(default_factory=list)


def source_of(lines: Sequence[str]) -> str:
    """What the agent said of the source of its figures; releases that said nothing knew the Engine API only."""
    told = [line for line in lines if "container figures come from" in line]
    if not told:
        return _BY_API
    _, _, words = told[-1].partition("container figures come from ")
    return words.split(",")[0].strip() if _BY_API in words else words.strip().rstrip(".")


async def measure(
    counts: Sequence[int], window_s: float, say: Callable[[str], None], *, baseline: bool = True
) -> Costs:
    """At each number of containers, in ascending order: nothing, this agent, nothing, the collector.

    Args:
        window_s: How long CPU time is added up.
        say: Told what is being done.
    """
    costs = Costs()
    async with stage() as here:
        for count in sorted(counts):
            say(f"{count} containers: making them")
            await here.grow(count)
            await asyncio.sleep(SETTLE_S)
            before = len(costs.windows)
            await _at(here, window_s, say, costs, baseline=baseline)
            # A run that is cut short has told what it found.
            say(plain(cost_table(costs.windows[before:])))
            say(plain(start_table(costs.starts[-1:])))
            say(plain(latency_table(costs.latencies[-1:])))
        say("removing the containers")
    return costs


async def _at(
    here: Stage, window_s: float, say: Callable[[str], None], costs: Costs, *, baseline: bool
) -> None:
    running = await here.do(here.running)
    count = len(running)
    engine = await here.do(processes.engine_processes, here.socket, running)
    await _nothing(count, engine, window_s, say, costs)
    say(f"{count} containers: this agent")
    began_s, began = asyncio.get_running_loop().time(), engine.cpu_ms()
    # Its ceiling grows with each short session, and all of these are short.
    async with here.server() as server, here.agent(server, RECONNECT_MAX="1s") as agent:
        await asyncio.sleep(LISTED_S)
        took_s = asyncio.get_running_loop().time() - began_s
        settled = _cpu_ms(engine, agent.pid)
        window = await _window("this agent", count, engine, agent.pid, server, LONG * window_s)
        costs.windows.append(window)
        spent = {part: ms - began.get(part, 0.0) for part, ms in settled.items()}
        costs.starts.append(start_of(count, spent, took_s, window))
        costs.source = source_of(agent.lines)
        costs.latencies.append(await _latencies(here, server, count))
        costs.complaints += await server.ask("complaints")
        await _stop(agent)

    # Before and after, for what idles costs more at one time than at another.
    await asyncio.sleep(SETTLE_S)
    await _nothing(count, engine, window_s, say, costs)
    if baseline:
        say(f"{count} containers: the API collector")
        # With a server of its own, for that of the agent has what came before to remember.
        async with here.server() as server, here.api_collector(server, running) as pid:
            await asyncio.sleep(SETTLE_S)
            costs.windows.append(
                await _window("API collector", count, engine, pid, server, window_s)
            )


async def _nothing(
    count: int,
    engine: EngineProcesses,
    window_s: float,
    say: Callable[[str], None],
    costs: Costs,
) -> None:
    say(f"{count} containers: nothing")
    costs.windows.append(await _window("nothing", count, engine, None, None, window_s))


async def _window(
    run: Run,
    count: int,
    engine: EngineProcesses,
    pid: int | None,
    server: ServerProcess | None,
    window_s: float,
) -> Window:
    loop = asyncio.get_running_loop()
    if server is not None:
        await server.ask("begin")
    began_s, before = loop.time(), _cpu_ms(engine, pid)
    await asyncio.sleep(window_s)
    elapsed_s, after = loop.time() - began_s, _cpu_ms(engine, pid)
    cpu = {part: max(0.0, after[part] - before[part]) / elapsed_s for part in after}
    if server is None or pid is None:
        return Window(run, count, cpu)
    came = await server.ask("end")
    is_agent = run == "this agent"
    return Window(
        run,
        count,
        cpu,
        rate_hz=came["samples" if is_agent else "sink_samples"] / count,
        memory=processes.memory(pid),
        frames_per_s=came["frames" if is_agent else "sink_frames"],
        bytes_per_s=came["bytes" if is_agent else "sink_bytes"],
    )


def _cpu_ms(engine: EngineProcesses, pid: int | None) -> dict[str, float]:
    own = {} if pid is None else {"agent": processes.total_cpu_ms([pid])}
    return {**own, **engine.cpu_ms()}


async def _latencies(here: Stage, server: ServerProcess, count: int) -> Latencies:
    await server.ask("events")
    restarted = here.ids[-1]
    for _ in range(RESTARTS):
        await here.do(here.client.restart, restarted, 5)
    await asyncio.sleep(1.0)
    events = [
        late_ms
        for container, _, _, late_ms in await server.ask("events")
        if container == restarted[:12]
    ]
    return Latencies(
        count,
        events,
        await server.ask("commands", count=COMMANDS),
        await server.ask("listings", count=LISTINGS),
        await server.ask("reconnects", count=RECONNECTS),
    )


async def _stop(agent: AgentProcess) -> None:
    agent.send_signal(signal.SIGTERM)
    await agent.ends()
