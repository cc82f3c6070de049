"""Who the agent is to the server."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """What one registration gave us. Empty strings: not known yet.

    `engine_id` is the one used at registration, kept because some engines answer another one each time they are asked.
    `hostname` is the one the server last accepted: sending it again would undo a rename made on the server.
    """

    permanent_token: str = field(default="", repr=False)
    agent_id: str = field(default="", repr=False)  # equals the token
    host_id: str = ""
    engine_id: str = ""
    hostname: str = ""
