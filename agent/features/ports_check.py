"""The `validate_ports` action: whether ports of the host are free, as far as containers tell."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from agent.core.host_ports import InvalidPort, asked_ports, taken_ports
from agent.features.deadlines import ANSWER_S
from agent.ports import CommandFailed, Engine, Handler, Json

SERVER_WAITS_S = 15.0


class ValidatePorts(BaseModel):
    """`ports` maps container ports (`80/tcp`) to ports of the host."""

    ports: dict[str, Any]


def validate_ports(engine: Engine) -> Handler[ValidatePorts]:
    async def run(payload: ValidatePorts, _: str) -> Json:
        try:
            asked = asked_ports(payload.ports)
        except InvalidPort as invalid:
            raise CommandFailed(str(invalid)) from None
        taken = taken_ports(await engine.containers(deadline_s=SERVER_WAITS_S - ANSWER_S))
        conflicts = [
            f"{number}/{protocol} is taken by {taken[number, protocol]}"
            for number, protocol in asked
            if (number, protocol) in taken
        ]
        if conflicts:
            raise CommandFailed("; ".join(conflicts)[:500])
        return {}

    return Handler("validate_ports", ValidatePorts, run, lambda _: SERVER_WAITS_S)
