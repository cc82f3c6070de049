"""What was measured, and how it is laid out in text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from benchmarks.processes import Memory

Run = Literal["nothing", "this agent", "API collector"]

PARTS = ("agent", "dockerd", "containerd", "shims")


def percentile(found: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent are not above; `nan` of nothing."""
    if not found:
        return math.nan
    ranked = sorted(found)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]


@dataclass(frozen=True, slots=True)
class Window:
    """One run at one number of containers. CPU is in ms per second of wall time: 10 is 1 % of a core.

    Attributes:
        cpu: By part, as in `PARTS`.
        rate_hz: Samples a second of each container, as the server got them.
        frames_per_s: Received by the server, as are the bytes: TCP payload, TLS and all.
    """

    run: Run
    containers: int
    cpu: dict[str, float]
    rate_hz: float = 0.0
    memory: Memory | None = None
    frames_per_s: float = 0.0
    bytes_per_s: float = 0.0

    @property
    def total(self) -> float:
        return sum(self.cpu.values())


@dataclass(frozen=True, slots=True)
class Start:
    """What it takes once: what was spent before the window, less what that time costs in the window.

    Attributes:
        cpu_ms: In ms, by part, as in `PARTS`. Not below zero, where the noise is larger than it.
    """

    containers: int
    cpu_ms: dict[str, float]


def start_of(
    containers: int, spent_ms: Mapping[str, float], took_s: float, window: Window
) -> Start:
    """`spent_ms` from the agent's first instruction on, in `took_s`, of which `window` is what follows."""
    once = {part: ms - window.cpu[part] * took_s for part, ms in spent_ms.items()}
    return Start(containers, {part: max(0.0, ms) for part, ms in once.items()})


@dataclass(frozen=True, slots=True)
class Latencies:
    """In ms, at one number of containers, with the agent's samples going on beside."""

    containers: int
    events: list[float] = field(default_factory=list)
    commands: list[float] = field(default_factory=list)
    listings: list[float] = field(default_factory=list)
    reconnects: list[float] = field(default_factory=list)


def over_idle(window: Window, windows: Sequence[Window]) -> float:
    """CPU-ms/s of the whole host that this run costs; not below zero, where the noise is larger than it."""
    idle = [
        each.total
        for each in windows
        if each.run == "nothing" and each.containers == window.containers
    ]
    return max(0.0, window.total - fmean(idle))


def number(value: float) -> str:
    """Three digits, or as many as there are before the point."""
    if math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(places, 2)}f}".replace(",", "\u202f")


def cost_table(windows: Sequence[Window]) -> list[list[str]]:
    """The first row is the heading."""
    heading = ["N", "run", *PARTS, "total", "over idle", "Hz", "RSS", "mapped", "PSS", "private"]
    rows = [[*heading, "frames/s", "kB/s"]]
    for window in windows:
        idle = window.run == "nothing"
        memory = window.memory
        sizes = (
            (memory.rss, memory.mapped, memory.pss, memory.private) if memory else (math.nan,) * 4
        )
        sent = (window.frames_per_s, window.bytes_per_s / 1e3)
        rows.append(
            [
                str(window.containers),
                window.run,
                *(number(window.cpu.get(part, math.nan)) for part in PARTS),
                number(window.total),
                "" if idle else number(over_idle(window, windows)),
                "" if idle else f"{window.rate_hz:.2f}",
                *("" if idle else number(size) for size in sizes),
                *("" if idle else number(each) for each in sent),
            ]
        )
    return rows


def start_table(found: Sequence[Start]) -> list[list[str]]:
    """The first row is the heading; all in ms. Shims are left out: they idle, and an inspection does not reach them."""
    asked = PARTS[:3]
    return [
        ["N", *asked],
        *(
            [str(each.containers), *(f"{each.cpu_ms[part]:.0f}" for part in asked)]
            for each in found
        ),
    ]


def latency_table(found: Sequence[Latencies]) -> list[list[str]]:
    """The first row is the heading; all in ms."""
    rows = [
        ["N", "event p50", "p99", "command p50", "p99", "list p50", "p99", "reconnect p50", "max"]
    ]
    for each in found:
        cells = [str(each.containers)]
        for values in (each.events, each.commands, each.listings):
            cells += [number(percentile(values, 50)), number(percentile(values, 99))]
        reconnects = (percentile(each.reconnects, 50), percentile(each.reconnects, 100))
        rows.append([*cells, *map(number, reconnects)])
    return rows


def plain(rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side: the second to the left where it is a name, figures to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if _is_name(rows, column) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    heading, *body = rows
    rule = ["---" if _is_name(rows, column) else "--:" for column in range(len(heading))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, rule, *body))


def _is_name(rows: Sequence[Sequence[str]], column: int) -> bool:
    return any(row[column][:1].isalpha() for row in rows[1:])
