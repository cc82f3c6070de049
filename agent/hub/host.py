"""What the server knows of one host."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent.hub.breaker import CircuitBreaker
from agent.hub.link import Link


@dataclass(slots=True, eq=False)
class Host:
    """`online` is what the UI shows: connected, and the last poll was answered; else `error` says why.

    `registration` is the last `register` frame as sent, `facts` what all of them together said of the
    system. `link` is the agent's socket and `stats_link` its second one, for the history. `health_checks` are
    sent at the next connect. `first_names` has the name that each container, by its short ID, was first listed
    with: the server attaches settings of the same name then, and never again. `last_seen_at` moves only on
    connect, disconnect and heartbeat.
    """

    id: str
    agent_id: str
    engine_id: str
    name: str
    registration: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    link: Link | None = None
    stats_link: Link | None = None
    online: bool = False
    error: str | None = None
    connections: int = 0
    containers: list[dict[str, Any]] = field(default_factory=list)
    skipped_containers: int = 0
    first_names: dict[str, str] = field(default_factory=dict)
    polled_at_s: float | None = None
    listed_at: datetime | None = None
    last_seen_at: datetime | None = None
    health_checks: list[dict[str, Any]] = field(default_factory=list)
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
