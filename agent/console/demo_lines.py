"""The demo as lines of text: for pipes, files, and whoever prefers them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from agent import logs
from agent.console.demo_log import logging_to
from agent.console.demo_scene import Fact, Report, Scene, Traffic


class Lines:
    """Writes each fact as it comes: seconds since the start, the subject, the rest of the sentence.

    The agent logs errors only, and to `log_to`: its moves are among the facts.
    """

    log: Sequence[str] = ()

    def __init__(self, out: TextIO, log_to: TextIO) -> None:
        self._out, self._log_to = out, log_to
        self._unread = asyncio.Event()

    def logging(self) -> contextlib.AbstractContextManager[logs.Redactor]:
        return logging_to(self._log_to, "error")

    def tell(self, fact: Fact) -> None:
        before = "\n" if fact.topic == "step" else ""
        self._write(f"{before}{fact.at_s:7.2f} s  {fact.who:6}  {fact.text}\n")

    async def paint(self, scene: Callable[[], Scene]) -> None:
        """Has nothing to do, for all is told when it happens. Returns when nobody reads on."""
        await self._unread.wait()

    def end(self, report: Report) -> None:
        lines = [verdict(report), *(f"  {name:18}{value}" for name, value in figures(report))]
        self._write("\n" + "\n".join(lines) + "\n")

    def _write(self, text: str) -> None:
        if self._unread.is_set():
            return
        try:
            self._out.write(text)
            self._out.flush()
        except BrokenPipeError:
            self._unread.set()


def verdict(report: Report) -> str:
    """What came of the demo, in one sentence."""
    if report.failure is not None:
        return f"The demo failed: {report.failure}"
    if report.lost:
        return f"{counted(report.lost, 'event')} got lost. That must not happen."
    if report.ended_early is not None:
        return f"{report.ended_early}. Nothing was lost until then."
    if report.left_behind:
        return "Nothing was lost, but not everything could be removed."
    return "Nothing was lost."


def figures(report: Report) -> Iterator[tuple[str, str]]:
    """What stands behind the verdict: names and values."""
    yield (
        "container events",
        f"{report.emitted} emitted by the engine, {report.received} received by the server, "
        + (f"{report.waiting} in the agent's journal, " if report.waiting else "")
        + f"{report.lost} lost"
        + (f", {report.repeated} repeated" if report.repeated else ""),
    )
    yield (
        "requests",
        f"{report.requests} sent by the server, {report.replies} answered; "
        f"the longest took {report.longest_s:.2f} s",
    )
    yield "agent → server", amount(report.to_server)
    yield "server → agent", amount(report.to_agent)
    if report.reconnects:
        yield "reconnects", f"{report.reconnects}, after {report.away_s:.1f} s without a link"
    for skipped in report.skipped:
        yield "skipped", skipped
    if report.left_behind:
        yield "left behind", "remove it with: " + "; ".join(report.left_behind)
    else:
        yield "left behind", "nothing"
    yield "duration", f"{report.took_s:.1f} s"


def amount(traffic: Traffic) -> str:
    return f"{counted(traffic.messages, 'message')}, {size(traffic.bytes)}"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(number: int) -> str:
    """Bytes for people, in powers of a thousand."""
    if number < 1000:
        return f"{number} B"
    return f"{number / 1000:.1f} kB" if number < 1_000_000 else f"{number / 1_000_000:.1f} MB"
