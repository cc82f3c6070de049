"""Where each thing goes that an agent says by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.hub.host import Host
from agent.hub.shapes import Dropped

Taker = Callable[[Host, Any], None]
"""Takes a payload, or raises Dropped."""


class Inbox:
    """Events are told apart by `command` and carry a `payload`; other messages by `type`, and are taken whole."""

    def __init__(self, events: Mapping[str, Taker], messages: Mapping[str, Taker]) -> None:
        self._events, self._messages = events, messages

    def take(self, host: Host, frame: Mapping[str, Any]) -> None:
        """Hands the frame's content to whoever takes its kind.

        Raises:
            Dropped: Nobody takes it, or whoever does cannot read it; the text begins with its name.
        """
        if (name := frame.get("type")) == "event":
            takers, name, content = self._events, frame.get("command"), frame.get("payload")
        else:
            takers, content = self._messages, frame
        taker = takers.get(name) if isinstance(name, str) else None
        if taker is None:
            raise Dropped(f"{name!r} is nothing that the server knows")
        try:
            taker(host, content)
        except Dropped as dropped:
            raise Dropped(f"{name}: {dropped}") from None
