"""What there is to see of the demo, as plain values: its views know nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Who = Literal["demo", "server", "agent", "engine"]
Topic = Literal["step", "move", "story"]
"""What a fact is about: a step of the demo, a move of a chart, or what else happened."""

Tone = Literal["plain", "good", "bad"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One sentence, of which `who` is the subject. `at_s` counts from the demo's start."""

    at_s: float
    who: Who
    text: str
    topic: Topic = "story"
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went one way over the WebSocket: messages, and their text in bytes."""

    messages: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A container as the server shows it. `figures` is what it uses, in a few words; "": nobody said."""

    name: str
    state: str
    is_ours: bool = False
    figures: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment.

    Attributes:
        place: Which engine this is, in a few words.
        step: Index of the step that is being played; `len(steps)` after the last.
        retry_in_s: Until the next attempt to connect; None unless the lifecycle waits for one.
        cause: What led the lifecycle into its state.
        jobs: What the agent is at beside its lifecycle: the state of each, by name.
        server_is_there: Whether the server listens.
        log: The agent's newest log lines, as `agent.logs.TextLines` makes them.
    """

    place: str
    elapsed_s: float
    steps: Sequence[str]
    step: int
    lifecycle: str
    in_state_s: float
    retry_in_s: float | None
    cause: str
    engine: str
    server_is_there: bool
    reconnects: int
    sent: Traffic
    received: Traffic
    requests: int
    replies: int
    events: int
    containers: Sequence[Shown]
    facts: Sequence[Fact]
    log: Sequence[str]
    jobs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it all.

    Attributes:
        emitted: Container events that concern the server, as the engine emitted them for the demo's containers.
        received: How many of them reached the server.
        waiting: How many are neither there nor lost: they stand in the agent's journal.
        repeated: How many reached the server more than once.
        longest_s: The longest round trip of a request that was answered.
        away_s: How long the agent was without a session after its first, all in all.
        failure: What went wrong, or None.
        ended_early: Why it was not played to its end although nothing was wrong, or None.
        skipped: What could not be played here, each with the reason.
        left_behind: What could not be removed, with the command that does.
    """

    emitted: int
    received: int
    waiting: int
    repeated: int
    requests: int
    replies: int
    longest_s: float
    to_server: Traffic
    to_agent: Traffic
    reconnects: int
    away_s: float
    took_s: float
    failure: str | None = None
    ended_early: str | None = None
    skipped: Sequence[str] = ()
    left_behind: Sequence[str] = ()

    @property
    def lost(self) -> int:
        return self.emitted - self.received - self.waiting

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.failure or self.left_behind)
