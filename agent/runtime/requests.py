"""One request of the server's and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.ports import Json

KEPT_ERROR_CHARS = 500


@dataclass(frozen=True, slots=True)
class Request:
    """`flat` says which of the two forms the reply has. `received_s` is loop time."""

    id: str
    name: str
    payload: Mapping[str, Any]
    flat: bool
    received_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Either a payload or an error; `error` "" means success."""

    payload: Any = None
    error: str = ""

    def recorded(self) -> Json:
        """As it stands in the ledger."""
        if self.error:
            return {"error": self.error[:KEPT_ERROR_CHARS]}
        return {"payload": self.payload}

    @classmethod
    def of(cls, record: Json) -> Outcome:
        """What `recorded` made a record of."""
        return cls(record.get("payload"), record.get("error", ""))
