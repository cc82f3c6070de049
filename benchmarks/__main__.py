"""`make bench`: every benchmark there is. Each prints what it measured side by side in its own run."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from engine import connect, find_engine

from benchmarks import cost, list_containers, page, reply_latency
from benchmarks.figures import cost_table, latency_table, plain, start_table

COUNTS = (10, 50, 150, 300)
WINDOW_S = 30.0
PARTS = ("list", "replies", "cost")
PAGE = Path(__file__).parent.parent / "docs" / "understand"


def main(words: Sequence[str]) -> None:
    chosen = _parser().parse_args(words)
    parts: Sequence[str] = chosen.only
    if "list" in parts:
        list_containers.main(500)
    if "replies" in parts:
        reply_latency.main()
    if "cost" in parts:
        is_whole = set(chosen.containers) == set(COUNTS) and chosen.seconds >= WINDOW_S
        _cost(chosen.containers, chosen.seconds, chosen.out or (PAGE if is_whole else None))


def _cost(counts: Sequence[int], window_s: float, out: Path | None) -> None:
    if (url := find_engine()) is None:
        raise SystemExit("no Docker engine answers")
    with contextlib.closing(connect(url)) as client:
        circumstances = page.here(client.version(), window_s)
    costs = asyncio.run(cost.measure(counts, window_s, _say))
    lines = [
        f"CPU in ms/s, memory in MB; the agent's figures come from {costs.source}",
        plain(cost_table(costs.windows)),
        "CPU of the start, in ms",
        plain(start_table(costs.starts)),
        "latencies in ms",
        plain(latency_table(costs.latencies)),
        plain(page.budgets(costs)),
        *(f"the server disliked: {text}" for text in costs.complaints),
    ]
    if out is not None:
        lines.append(f"written: {page.write(costs, circumstances, out)}")
    print("\n".join(lines))  # noqa: T201  printing is what a benchmark is for


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench BENCH=…", description=__doc__)
    parser.add_argument(
        "--only", type=_parts, default=PARTS, help="of list, replies, cost; with commas"
    )
    parser.add_argument("--containers", type=_counts, default=COUNTS, help="such as 10,50")
    parser.add_argument("--seconds", type=float, default=WINDOW_S, help="of each CPU window")
    parser.add_argument(
        "--out",
        type=Path,
        default=None,
        help="where cost.md goes; a run with all its defaults writes docs/understand",
    )
    return parser


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    if unknown := set(parts) - set(PARTS):
        raise argparse.ArgumentTypeError(
            f"{', '.join(sorted(unknown))}: there is {', '.join(PARTS)}"
        )
    return parts


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError("give numbers of containers, such as 10,50") from None
    if not all(0 < count <= 1000 for count in counts):
        raise argparse.ArgumentTypeError("give numbers from 1 to 1000")
    return counts


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  a run takes a quarter of an hour


if __name__ == "__main__":
    main(sys.argv[1:])
