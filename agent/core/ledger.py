"""Commands that change something, so that none is ever carried out twice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Repeat(StrEnum):
    """What may be done with a command that a dead process had begun."""

    REDO = "redo"  # naturally idempotent: done again it does no harm
    PROBE = "probe"  # the world tells whether it was done
    NEVER = "never"  # neither: say that the outcome is unknown


@dataclass(frozen=True, slots=True)
class Entry:
    """One command. `payload_sha256` (hex) tells a repetition from another command under the same id.

    `outcome` is the reply without its correlation id, or None while running. Payloads are not stored: `subject` is all
    that a probe needs to know, and nothing secret.
    """

    command_id: str
    action: str
    subject: str
    payload_sha256: str
    repeat: Repeat
    began_at: str  # RFC 3339, UTC
    outcome: dict[str, Any] | None = None
