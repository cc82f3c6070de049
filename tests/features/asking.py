"""Asks a handler as the dispatcher does, without the wire."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from agent.clock import utcnow
from agent.core.ledger import Entry
from agent.core.replies import EncodedJson
from agent.core.rfc3339 import rfc3339
from agent.ports import Handler, Json

COMMAND_ID = "c0ffee00-0000-4000-8000-000000000000"


class Asking:
    """Some handlers, to be asked by name."""

    def __init__(self, handlers: Iterable[Handler[Any]]) -> None:
        self.handlers = {handler.name: handler for handler in handlers}

    async def ask(self, action: str, **payload: Any) -> Any:
        """The reply's payload; raises what the handler does, or pydantic's `ValidationError`."""
        handler = self.handlers[action]
        read = handler.payload.model_validate({"action": action, **payload})
        answer = await handler.run(read, COMMAND_ID)
        return json.loads(answer) if isinstance(answer, EncodedJson) else answer

    def entry(self, action: str, **payload: Any) -> Entry:
        """What the ledger would say of a command that begins now."""
        handler = self.handlers[action]
        read = handler.payload.model_validate({"action": action, **payload})
        assert handler.repeat is not None
        subject = (handler.subject or handler.lane)(read)
        digest = hashlib.sha256(subject.encode()).hexdigest()
        return Entry(COMMAND_ID, action, subject, digest, handler.repeat, rfc3339(utcnow()))

    async def probe(self, entry: Entry) -> Json | None:
        probe = self.handlers[entry.action].probe
        assert probe is not None
        return await probe(entry)
