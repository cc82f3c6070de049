"""`docs/understand/cost.md` and its figures, written from a run."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent import __version__
from agent.clock import utcnow
from benchmarks.cost import COMMANDS, LISTED_S, LONG, RECONNECTS, RESTARTS, Costs
from benchmarks.figures import (
    Latencies,
    Run,
    Window,
    cost_table,
    latency_table,
    markdown,
    number,
    over_idle,
    percentile,
    start_table,
)
from benchmarks.plot import Curve, svg
from benchmarks.server_process import POLL_S

AGENT: Run = "this agent"
BASELINE: Run = "API collector"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Where and when. `load`: of the machine at the beginning, per core."""

    engine: str
    window_s: float
    load: float


def here(engine: Mapping[str, str], window_s: float) -> Circumstances:
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    return Circumstances(f"Docker {engine['Version']}, API {engine['ApiVersion']}", window_s, load)


def write(costs: Costs, circumstances: Circumstances, directory: Path) -> Path:
    """Writes `cost.md` and `cost/*.svg` into `directory`, and returns the first."""
    figures = directory / "cost"
    figures.mkdir(parents=True, exist_ok=True)
    for name, drawing in drawings(costs).items():
        (figures / f"{name}.svg").write_text(drawing, "utf-8")
    page = directory / "cost.md"
    page.write_text(text(costs, circumstances), "utf-8")
    return page


def drawings(costs: Costs) -> dict[str, str]:
    """By name."""

    def curve(run: Run, value: Callable[[Window], float]) -> Curve:
        points = [(w.containers, value(w)) for w in costs.windows if w.run == run]
        return Curve(run, points)

    def late(name: str, value: Callable[[Latencies], float]) -> Curve:
        return Curve(name, [(each.containers, value(each)) for each in costs.latencies])

    def both(value: Callable[[Window], float]) -> list[Curve]:
        found = [curve(AGENT, value), curve(BASELINE, value)]
        return [each for each in found if each.points]

    def size(window: Window, name: str) -> float:
        assert window.memory is not None, "only `nothing` has none"
        found: float = getattr(window.memory, name)
        return found

    def middle_and_worst(values: Callable[[Latencies], list[float]], worst: int) -> list[Curve]:
        return [
            late("p50", lambda each: percentile(values(each), 50)),
            late(
                "max" if worst == 100 else f"p{worst}", lambda each: percentile(values(each), worst)
            ),
        ]

    return {
        "host": svg(
            "CPU of the whole host over idle",
            "ms a second",
            both(lambda w: over_idle(w, costs.windows)),
        ),
        "agent": svg("CPU of the process itself", "ms a second", both(lambda w: w.cpu["agent"])),
        "rate": svg("Samples of each container", "a second", both(lambda w: w.rate_hz)),
        "memory": svg(
            "Memory of the agent",
            "MB",
            [
                Curve(name, curve(AGENT, lambda w, key=key: size(w, key)).points)  # type: ignore[misc] # a bound name
                for name, key in (("RSS", "rss"), ("PSS", "pss"), ("private", "private"))
            ],
        ),
        "traffic": svg(
            "What the server receives", "kB a second", both(lambda w: w.bytes_per_s / 1e3)
        ),
        "frames": svg("Frames the server receives", "a second", both(lambda w: w.frames_per_s)),
        "events": svg(
            "From the engine's event to the server", "ms", middle_and_worst(lambda e: e.events, 99)
        ),
        "commands": svg(
            "Round trip of a command", "ms", middle_and_worst(lambda e: e.commands, 99)
        ),
        "listings": svg(
            "Round trip of a listing", "ms", middle_and_worst(lambda e: e.listings, 99)
        ),
        "reconnect": svg(
            "From a cut connection to the next", "ms", middle_and_worst(lambda e: e.reconnects, 100)
        ),
    }


def budgets(costs: Costs) -> list[list[str]]:
    """What was promised, and what came of it; the first row is the heading."""
    agents = {window.containers: window for window in costs.windows if window.run == AGENT}
    baseline = {window.containers: window for window in costs.windows if window.run == BASELINE}
    rows = [["promised", "measured", "holds"]]

    def row(promised: str, measured: float, limit: float, shown: str = "") -> None:
        holds = "yes" if measured <= limit else "no"
        rows.append([promised, shown or number(measured), holds])

    for count, window in agents.items():
        assert window.memory is not None, "only `nothing` has none"
        limit_ms = 15.0 if count <= 200 else 25.0
        if count >= 100:
            row(
                f"at {count}: the agent takes at most {limit_ms:.0f} ms/s",
                window.cpu["agent"],
                limit_ms,
            )
            row(f"at {count}: RSS of at most 48 MB", window.memory.rss, 48)
        rows.append(
            [
                f"at {count}: 1.00 Hz",
                f"{window.rate_hz:.2f}",
                "yes" if window.rate_hz >= 0.995 else "no",
            ]
        )
        if count >= 100 and count in baseline:
            share = over_idle(window, costs.windows) / max(
                over_idle(baseline[count], costs.windows), 1e-9
            )
            promised = f"at {count}: the host over idle at most 0.050 of the baseline's"
            row(promised, share, 0.05, shown=f"{share:.3f}")
    sizes = [window.memory.rss for window in agents.values() if window.memory]
    row("RSS flat to within 3 MB over all N", max(sizes) - min(sizes), 3)
    return rows


def text(costs: Costs, circumstances: Circumstances) -> str:
    """The page."""
    python, kernel = platform.python_version(), platform.release().partition("-")[0]
    load = f"{os.cpu_count()} cores, load of {circumstances.load:.1f} per core at the start"
    return f"""# What the agent costs

Written by `make bench`, which measures all of it in one run; nothing here is typed by hand.

| | |
|---|---|
| date | {utcnow():%Y-%m-%d} |
| agent | {__version__}, Python {python} |
| engine | {circumstances.engine} |
| machine | Linux {kernel} ({platform.machine()}), {load} |
| container figures | from {costs.source} |

N is all that run on the engine, nearly all of them idle busybox containers on a bridge. The agent is a process on the
host, connected with TLS and both sockets. The server runs beside it, polls every {POLL_S:.0f} s, and is not counted.

The **API collector** is the baseline: a stream of statistics per container and a frame per sample, as agents do that
ask the Engine API. It does nothing else: no events, no commands, no listings.

## CPU, rate, memory

CPU in ms per second of wall time (10 is 1 % of a core), from `/proc/PID/stat`, over {circumstances.window_s:.0f} s, and
of this agent over {LONG * circumstances.window_s:.0f} s, for some things it does once a minute. The window begins when
the server has had at least two lists of all containers. Shims are those of all N containers, from their threads'
`schedstat`. *Over idle* is the total less that of `nothing` at the same N before and after the agent's run, for it
differs from one time to another.

*Hz* is how often a container's samples came: from the first in the window to the last, or over all of it if they
stopped coming. Memory in MB of 2^20 bytes, of the process named; *mapped* is the part of its RSS that is in files,
libraries above all. Frames and bytes are what the server received: of the agent on both sockets and with TLS, of the
baseline the payload alone.

{markdown(cost_table(costs.windows))}

![CPU of the whole host over idle](cost/host.svg)
![CPU of the process itself](cost/agent.svg)
![Samples of each container a second](cost/rate.svg)
![Memory of the agent](cost/memory.svg)
![Bytes the server receives](cost/traffic.svg)
![Frames the server receives](cost/frames.svg)

## The start, once

CPU in ms until that window begins, {LISTED_S:.0f} s after the registration, less what the same time costs later:
starting the program, registering, inspecting every container, and the first list. Counted in ticks of 10 ms.

{markdown(start_table(costs.starts))}

## Latencies

In ms, with samples flowing. An event's is from the engine's own time stamp to the server, of {RESTARTS} restarts; a
command's is of {COMMANDS} that need no engine, the server's share included; a reconnect is one of {RECONNECTS} resets,
after each of which the agent waits for 0.25 s to 1 s, at random, before it dials again
(`RECONNECT_MAX=1s`: with more it waits longer after each short session).

{markdown(latency_table(costs.latencies))}

![From the engine's event to the server](cost/events.svg)
![Round trip of a command](cost/commands.svg)
![Round trip of a listing](cost/listings.svg)
![From a cut connection to the next](cost/reconnect.svg)

## The budgets

{markdown(budgets(costs))}
"""
