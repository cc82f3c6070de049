"""The `get_system_info` command: what the engine and its host are now. The server knows it and cannot send it yet."""

from __future__ import annotations

from pydantic import BaseModel

from agent.core.registration import MAX_CPUS, MAX_MEMORY_BYTES, MAX_TEXT
from agent.features.deadlines import ANSWER_S
from agent.ports import Engine, EngineFacts, Handler, Json

SERVER_WAITS_S = 10.0


class Nothing(BaseModel):
    """The command needs no payload."""


def get_system_info(engine: Engine) -> Handler[Nothing]:
    async def run(_: Nothing, __: str) -> Json:
        return {"result": system_info(await engine.facts(deadline_s=SERVER_WAITS_S - ANSWER_S))}

    return Handler("get_system_info", Nothing, run, lambda _: SERVER_WAITS_S)


def system_info(facts: EngineFacts) -> Json:
    """By the names that registration has for them, and within the same bounds; what is not known is left out."""
    texts = {
        "os_type": facts.os_type,
        "os_version": facts.operating_system,
        "kernel_version": facts.kernel_version,
        "docker_version": facts.version,
        "daemon_started_at": facts.bridge_created_at,
    }
    info: Json = {key: text[: MAX_TEXT[key]] for key, text in texts.items() if text}
    if facts.total_memory_bytes and facts.total_memory_bytes <= MAX_MEMORY_BYTES:
        info["total_memory"] = facts.total_memory_bytes
    if facts.num_cpus and facts.num_cpus <= MAX_CPUS:
        info["num_cpus"] = facts.num_cpus
    return info
