"""Tells people what moves: every move with its cause, repeated failures in summaries."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from agent.core.engine_watch import EngineLost, EngineSilent, StreamEnded
from agent.core.lifecycle import AttemptFailed, LinkLost, Refused, Registered, ServerSilent
from agent.core.machine import Crashed, DeadlinePassed, Event
from agent.core.repeats import Repeats, Report
from agent.logs import fact
from agent.runtime.runtime import Move

log = logging.getLogger("agent.states")


@dataclass(slots=True)
class _Trouble:
    """How a chart has failed since it last worked, each kind of failure with a run of its own."""

    began_s: float
    count: int = 0
    repeats: Repeats = field(default_factory=Repeats)


class Reporter:
    """An observer of the runtime.

    A failure is told in full the first time, then in summaries, until what failed works again; the moves between two
    tries are told at debug level only from the second failure on.
    """

    def __init__(self) -> None:
        self._troubles: dict[str, _Trouble] = {}  # by chart

    def observe(self, move: Move) -> None:
        failure = _failure(move.event)
        if failure is not None:
            self._failed(move, failure)
        elif move.chart in self._troubles and not _works_again(move):
            quiet = self._troubles[move.chart].count > 1 or not move.entered
            self._tell(logging.DEBUG if quiet else logging.INFO, move)
        else:
            self._tell(logging.INFO if move.entered else logging.DEBUG, move)
            self._recovered(move)

    def _failed(self, move: Move, failure: str) -> None:
        trouble = self._troubles.setdefault(move.chart, _Trouble(move.at_s))
        trouble.count += 1
        report = trouble.repeats.failed(failure, move.at_s)
        if report is None:
            self._tell(logging.DEBUG, move)
        elif report.count == 1:
            self._tell(logging.WARNING, move)
        else:
            fact(log, logging.WARNING, f"{move.chart}: {report}", cause=failure)

    def _recovered(self, move: Move) -> None:
        trouble = self._troubles.pop(move.chart, None)
        if trouble is not None and trouble.count > 1 and move.after != "stopped":
            report = Report(trouble.count, move.at_s - trouble.began_s, recovered=True)
            fact(log, logging.INFO, f"{move.chart}: {report}")

    def _tell(self, level: int, move: Move) -> None:
        fact(
            log,
            level,
            f"{move.chart}: {move.before} -> {move.after}"
            if move.entered
            else f"{move.chart}: stays {move.after}",
            cause=str(move.event),
        )


def _failure(event: Event) -> str | None:
    match event:
        case AttemptFailed(failure) | LinkLost(failure):
            return str(failure)
        case Refused(refusal):
            return str(refusal)
        case EngineSilent(reason) | EngineLost(reason) | StreamEnded(reason):
            return reason
        case ServerSilent():
            return "the server asks nothing"
        case Crashed() | DeadlinePassed():
            return str(event)
    return None


def _works_again(move: Move) -> bool:
    return isinstance(move.event, Registered) or move.after in ("following", "streaming", "stopped")
