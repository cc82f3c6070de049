"""Work that outlives a request, a session and the process that began it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Job:
    """What is on disk of one job while it is under way.

    `kind` says who can go on with it, `subject` what it works on, for people. `record` is JSON that its owner checks
    when it reads it back; it never holds a secret.
    """

    id: str
    kind: str
    subject: str
    record: dict[str, Any]
